"""The nearest vectors against a plain sort of all cosines."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mirada.search import nearest as module
from mirada.search.nearest import nearest


def drawn(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    vectors = rng.standard_normal((count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 90),
    k=st.integers(1, 100),
    chunk=st.sampled_from([1, 7, 64, 1_000]),
    has_filter=st.booleans(),
    has_equals=st.booleans(),
)
def test_as_a_plain_sort(seed: int, count: int, k: int, chunk: int, has_filter: bool, has_equals: bool) -> None:
    rng = np.random.default_rng(seed)
    vectors = drawn(rng, count, 5).astype(np.float16)
    if has_equals:
        vectors = vectors[rng.integers(0, max(1, count // 3), count)]
    queries = drawn(rng, 3, 5)
    allowed = rng.random(count) < 0.5 if has_filter else None
    before, module.CHUNK = module.CHUNK, chunk  # type: ignore[misc]
    try:
        places, cosines = nearest(vectors, queries, k, allowed)
    finally:
        module.CHUNK = before  # type: ignore[misc]
    candidates = np.flatnonzero(allowed) if allowed is not None else np.arange(count)
    for row, query in enumerate(queries):
        own = vectors[candidates].astype(np.float64) @ query
        right = sorted(zip(-own.astype(np.float32), candidates, strict=True))[:k]
        assert np.allclose(cosines[row], [-cosine for cosine, _ in right], atol=1e-6)
        assert len(set(places[row])) == len(places[row]) == min(k, len(candidates))
        assert np.allclose(vectors[places[row]].astype(np.float64) @ query, cosines[row], atol=1e-6)


def test_of_equals_the_first_comes_first() -> None:
    vectors = np.tile(np.eye(3, dtype=np.float16), (40, 1))
    places, cosines = nearest(vectors, np.eye(3, dtype=np.float32)[[1]], 5)
    assert places.tolist() == [[1, 4, 7, 10, 13]]
    assert cosines.tolist() == [[1.0] * 5]
