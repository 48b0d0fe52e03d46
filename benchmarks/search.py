"""How fast, and how surely, are the ten nearest of many vectors found?

    python benchmarks/search.py [--vectors 1000000] [--folder FOLDER] [--ways mirada,lancedb,faiss] [--minutes 20]

Vectors of 1,280 numbers in clusters, made by a seed; 1,000 queries of the same kind, one at a time; the exact answer by
comparing all. Each way first makes its index from the vectors in a file, then opens it in a new process:

| way | index | setting that is chosen |
|---|---|---|
| mirada | an index of mirada's, asked by `Index.search`, with all that is told of a hit | by itself |
| lancedb | IVF_RQ, a cell for 1,000 vectors | refine_factor |
| faiss | IVF with a byte a number (SQ8), a cell for 1,000 vectors | nprobe |
| usearch | HNSW in half precision | expansion_search |

The peers' setting is the first of a few that finds 99 % of the ten nearest on these very queries, or the last where
none does. A way that is not done after so many minutes of making is left out; of a way that is not asked again, the
last result is kept, with its date. mirada is given vectors: of a picture, seeing it comes on top. Writes
results/search_VECTORS.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from result import RESULTS, write_result

DIMENSION, QUERIES, K = 1_280, 1_000, 10
BLOCK = 20_000
WANTED = 0.99


def made(count: int) -> Iterator[np.ndarray]:
    """Unit vectors (BLOCK, D) in clusters of about 100, the clusters in 100 groups; last the queries."""
    rng = np.random.default_rng(0)
    centres = _unit(rng.standard_normal((max(100, count // 100), DIMENSION), dtype=np.float32))
    groups = _unit(rng.standard_normal((100, DIMENSION), dtype=np.float32))
    centres = _unit(centres + groups[rng.integers(0, 100, len(centres))])

    def drawn(number: int, seed: int) -> np.ndarray:
        own = np.random.default_rng([1, seed])
        noise = own.standard_normal((number, DIMENSION), dtype=np.float32) * (0.8 / DIMENSION**0.5)
        return _unit(centres[own.integers(0, len(centres), number)] + noise)

    for begin in range(0, count, BLOCK):
        yield drawn(min(BLOCK, count - begin), begin).astype(np.float16)
    yield drawn(QUERIES, 2**40).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_vectors(folder: Path, count: int) -> None:
    """vectors.npy, queries.npy, and the numbers of the ten nearest, exact.npy."""
    if (folder / "exact.npy").exists():
        return
    *blocks, queries = made(count)
    kept = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float16, (count, DIMENSION))
    best = np.full((QUERIES, 0), -1.0, np.float32)
    numbers = np.zeros((QUERIES, 0), np.int64)
    begin = 0
    for block in blocks:
        kept[begin : begin + len(block)] = block
        best = np.hstack([best, queries @ block.astype(np.float32).T])
        numbers = np.hstack([numbers, np.broadcast_to(np.arange(begin, begin + len(block)), (QUERIES, len(block)))])
        order = np.argsort(-best, axis=1)[:, :K]
        best, numbers = np.take_along_axis(best, order, 1), np.take_along_axis(numbers, order, 1)
        begin += len(block)
    kept.flush()
    np.save(folder / "queries.npy", queries)
    np.save(folder / "exact.npy", numbers)


def blocks_of(folder: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Where each block begins, and the block (n, D) float16."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    for begin in range(0, len(vectors), BLOCK):
        yield begin, np.ascontiguousarray(vectors[begin : begin + BLOCK])


Search = Callable[[np.ndarray], list[int]]
Ways = dict[str, tuple[Callable[[Path], None], Callable[[Path], list[tuple[str, Search]]]]]


def make_mirada(folder: Path) -> None:
    """As `mirada index` makes it, the vectors given."""
    from mirada.search.lookup import prepare
    from mirada.search.table import Table

    table = Table.create(str(folder / "mirada"), maker().to_json(), DIMENSION, None)
    for begin, block in blocks_of(folder):
        rows = [{"path": f"/{i}", "file": b"/%d" % i} for i in range(begin, begin + len(block))]
        table.put(rows, block, are_new=True)
    table.tidy()
    effort = prepare(table)
    table.tell(effort=None if effort is None else effort.to_json(), settled=True)


def maker() -> Any:
    """What made them."""
    from mirada.image import Preparation
    from mirada.search import Maker

    return Maker("made", "made", None, Preparation((224, 224), "crop"), has_places=False, dimension=DIMENSION)


def open_mirada(folder: Path) -> list[tuple[str, Search]]:
    """Asked by its public function."""
    import mirada
    from mirada.search import Embedding

    opened, own = mirada.open_index(folder / "mirada"), maker()
    told = json.dumps(opened.effort.to_json() if opened.effort else None)
    return [
        (told, lambda query: [int(hit.path[1:]) for hit in opened.search(Embedding(query[None], own), k=K)]),
    ]


def make_lancedb(folder: Path) -> None:
    """IVF_RQ."""
    import lancedb
    import pyarrow as pa
    from lancedb.index import IvfRq

    schema = pa.schema([pa.field("id", pa.int64()), pa.field("vector", pa.list_(pa.float16(), DIMENSION))])
    table = lancedb.connect(folder / "lancedb").create_table("vectors", schema=schema, mode="overwrite")

    def batches() -> Iterator[pa.RecordBatch]:
        for begin, block in blocks_of(folder):
            ids = pa.array(np.arange(begin, begin + len(block)))
            yield pa.RecordBatch.from_arrays(
                [ids, pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), DIMENSION)], schema=schema
            )

    table.add(batches())
    cells = max(1, table.count_rows() // 1_000)
    table.create_index(
        "vector", config=IvfRq(distance_type="cosine", num_partitions=cells, max_iterations=10, sample_rate=64)
    )


def open_lancedb(folder: Path) -> list[tuple[str, Search]]:
    """With its refine step."""
    import lancedb

    table = lancedb.connect(folder / "lancedb").open_table("vectors")

    def search(refine: int) -> Search:
        def ask(query: np.ndarray) -> list[int]:
            found = table.search(query).distance_type("cosine").limit(K).nprobes(16).refine_factor(refine)
            return list(found.select(["id", "_distance"]).to_arrow()["id"].to_pylist())

        return ask

    return [(f"refine_factor={refine}", search(refine)) for refine in (5, 10, 20, 50)]


def make_faiss(folder: Path) -> None:
    """IVF, SQ8."""
    import faiss

    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    index = faiss.index_factory(DIMENSION, f"IVF{max(1, len(vectors) // 1_000)},SQ8", faiss.METRIC_INNER_PRODUCT)
    sample = np.sort(np.random.default_rng(0).permutation(len(vectors))[: min(len(vectors), 64_000)])
    index.train(vectors[sample].astype(np.float32))
    for _, block in blocks_of(folder):
        index.add(block.astype(np.float32))
    faiss.write_index(index, str(folder / "faiss.index"))


def open_faiss(folder: Path) -> list[tuple[str, Search]]:
    """Read from its file as it is needed."""
    import faiss

    index = faiss.read_index(str(folder / "faiss.index"), faiss.IO_FLAG_MMAP)

    def search(probed: int) -> Search:
        def ask(query: np.ndarray) -> list[int]:
            faiss.extract_index_ivf(index).nprobe = probed
            return list(index.search(query[None], K)[1][0].tolist())

        return ask

    return [(f"nprobe={probed}", search(probed)) for probed in (2, 4, 8, 16, 32, 64)]


def make_usearch(folder: Path) -> None:
    """HNSW, half precision."""
    from usearch.index import Index

    index = Index(ndim=DIMENSION, metric="ip", dtype="f16")
    for begin, block in blocks_of(folder):
        index.add(np.arange(begin, begin + len(block)), block)
    index.save(str(folder / "usearch.index"))


def open_usearch(folder: Path) -> list[tuple[str, Search]]:
    """Read from its file as it is needed."""
    from usearch.index import Index

    index = Index.restore(str(folder / "usearch.index"), view=True)

    def search(expansion: int) -> Search:
        def ask(query: np.ndarray) -> list[int]:
            index.expansion_search = expansion
            return list(index.search(query.astype(np.float16), K).keys.tolist())

        return ask

    return [(f"expansion_search={expansion}", search(expansion)) for expansion in (32, 64, 128, 256, 512)]


WAYS: Ways = {
    "mirada": (make_mirada, open_mirada),
    "lancedb": (make_lancedb, open_lancedb),
    "faiss": (make_faiss, open_faiss),
    "usearch": (make_usearch, open_usearch),
}


def peak_mb() -> float:
    """Of this process, pages of files that are mapped among them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM:"))


def make(way: str, folder: Path) -> dict[str, Any]:
    """Make the index, in this process."""
    begin = time.perf_counter()
    WAYS[way][0](folder)
    return {"seconds": time.perf_counter() - begin, "peak_mb": peak_mb()}


def ask(way: str, folder: Path) -> dict[str, Any]:
    """Open it, and ask, in this process."""
    queries, exact = np.load(folder / "queries.npy"), np.load(folder / "exact.npy")
    begin = time.perf_counter()
    settings = WAYS[way][1](folder)
    settings[0][1](queries[0])
    opened = time.perf_counter() - begin
    told: dict[str, Any] = {}
    for setting, search in settings:
        seconds, found = [], 0
        for query, right in zip(queries, exact, strict=True):
            begin = time.perf_counter()
            hits = search(query)
            seconds.append(time.perf_counter() - begin)
            found += len(set(hits) & set(right.tolist()))
        told = {
            "setting": setting,
            "recall_at_10": found / exact.size,
            "median_ms": 1e3 * float(np.median(seconds)),
            "p99_ms": 1e3 * float(np.quantile(seconds, 0.99)),
            "queries_per_second": len(seconds) / sum(seconds),
        }
        if told["recall_at_10"] >= WANTED:
            break
    return {"opened_and_first_answer_seconds": opened, **told, "peak_mb": peak_mb()}


def in_a_process(step: str, way: str, folder: Path, seconds: float | None = None) -> dict[str, Any]:
    """What a step tells, run in a process of its own."""
    command = [sys.executable, __file__, "--folder", str(folder), "--step", step, "--ways", way]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=seconds)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> None:
    """Every way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="keep the vectors there")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--minutes", type=float, default=20.0, help="for making an index")
    parser.add_argument("--step", choices=["make", "ask"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step is not None:
        print(json.dumps((make if arguments.step == "make" else ask)(arguments.ways, arguments.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(exist_ok=True, parents=True)
        write_vectors(folder, arguments.vectors)
        found: dict[str, Any] = {}
        for way in arguments.ways.split(","):
            try:
                found[way] = {"making": in_a_process("make", way, folder, 60 * arguments.minutes)}
                found[way]["asking"] = in_a_process("ask", way, folder)
            except subprocess.TimeoutExpired:
                found[way] = {"making": None, "not_made_in_minutes": arguments.minutes}
            print(way, json.dumps(found[way]), flush=True)
    name = f"search_{arguments.vectors}"
    print("written:", write_result(name, {"vectors": arguments.vectors, "ways": found | _earlier(name, set(found))}))


def _earlier(name: str, asked: set[str]) -> dict[str, Any]:
    """What the last result holds of ways that were not asked again, marked as being of an earlier run."""
    path = RESULTS / f"{name}.json"
    last = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"ways": {}}
    return {way: {"of": last["date"], **told} for way, told in last["ways"].items() if way not in asked}


if __name__ == "__main__":
    main()
