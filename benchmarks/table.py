"""Put the newest results into the README, between its markers. `--check` only says whether they are there."""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent.parent / "README.md"
MARKERS = re.compile(r"(<!-- benchmarks:begin -->\n).*?(<!-- benchmarks:end -->)", re.DOTALL)


def rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What was measured, mirada's figure, the peer's."""
    if result["name"] == "cold_layers":
        mine, peer = result["medians"].values()
        return [
            (
                "`mirada layers vgg16`, cold process",
                f"{mine:.2f} s",
                f"{peer:.2f} s: torchvision, module built and counted",
            )
        ]
    if result["name"] == "decode":
        mine, peer = result["medians"]["mirada.decode"], result["medians"]["Pillow"]
        return [
            (f"JPEG decoding, one core, {result['photos']}", f"{mine:,.0f} images/s", f"{peer:,.0f} images/s: Pillow")
        ]
    if result["name"].startswith("transfer_"):
        return transfer_rows(result)
    if result["name"].startswith("splits_"):
        return [splits_row(result)]
    if result["name"] == "killed_index":
        kills, held = len(result["kills"]), result["opened_and_held_all"]
        equal = f"{result['equal_to_undisturbed']} of {result['runs_to_the_end']} runs end as an undisturbed one"
        return [(f"`mirada index`, killed {kills} times", f"{held} times it opens and holds all; {equal}", "")]
    if result["name"] == "killed_scratch":
        equal = f"{result['equal_to_undisturbed']} of {result['runs_to_the_end']} runs end with the same bits"
        what = f"`mirada train {result['data']} --from lenet5`, killed {len(result['kills'])} times"
        return [(what, f"{equal} as an undisturbed one", "")]
    if result["name"].startswith("killed_"):
        return [killed_row(result)]
    if result["name"] == "lenet_mnist":
        return lenet_rows(result)
    if result["name"] == "step":
        return step_rows(result)
    if result["name"] == "ingredients":
        return [ingredients_row(result)]
    if result["name"] == "predict":
        medians = result["medians"]
        return [
            (
                f"`mirada predict`, {result['network']}, JPEG files: {result['share_of_limit']:.0%} of what decoding "
                "and network allow",
                f"{medians['mirada.predict']:,.0f} images/s",
                f"{medians['plain timm']:,.0f} images/s: plain timm script",
            )
        ]
    if result["name"] == "cold":
        mine, peer = result["medians"].values()
        return [("`mirada predict`, one photo, cold process", f"{mine:.2f} s", f"{peer:.2f} s: plain timm script")]
    if result["name"] == "retrieval":
        return retrieval_rows(result)
    if result["name"].startswith("search_"):
        return [search_row(result)]
    if result["name"] == "copies":
        return copies_rows(result)
    if result["name"] == "index":
        return [index_row(result)]
    if result["name"] == "augment":
        return augment_rows(result)
    if result["name"] == "duplicates":
        return [duplicates_row(result)]
    if result["name"] == "labels":
        return [labels_row(result)]
    if result["name"] == "check":
        return check_rows(result)
    if result["name"] == "regularise":
        return regularise_rows(result)
    runs = result["runs"]
    accuracy = statistics.median(run["test_accuracy"] for run in runs)
    seconds = statistics.median(run["wall_seconds"] for run in runs)
    images = runs[0]["test_images"]
    seeds = f"median of {len(runs)} seeds" if len(runs) > 1 else "seed 0"
    what = f"`mirada train {result['data']} --from {result['network']}`, {seeds}"
    return [(what, f"{accuracy:.1%} of {images:,} test images in {seconds:.0f} s", "")]


def transfer_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """A row for each way of training, all from a cold process; the peers in the rows they are to be compared in."""
    peers = "; ".join(
        f"{run['test_accuracy']:.1%} in {run['seconds']:.0f} s: {run['name']}"
        for run in result["runs"]
        if run["by"] != "mirada"
    )
    mine = [run for run in result["runs"] if run["by"] == "mirada"]
    return [
        (
            f"`mirada train {result['data']} {run['name'].removeprefix('mirada ')}`",
            f"{run['test_accuracy']:.1%} of {run['test_images']:,} test images in {run['seconds']:.0f} s",
            peers if i == 0 else "",
        )
        for i, run in enumerate(mine)
    ]


def splits_row(result: dict[str, Any]) -> tuple[str, str, str]:
    """The automatic choice, beside the best fixed choice of each division."""

    def words(chosen: list[dict[str, Any]]) -> str:
        accuracy = statistics.mean(run["test_right"] / run["test_images"] for run in chosen)
        return f"{accuracy:.1%} in {statistics.mean(run['seconds'] for run in chosen):.0f} s"

    divisions = result["divisions"]
    best = [next(run for run in each["runs"] if run["retrain"] == each["best"]) for each in divisions]
    return (
        f"`mirada train {result['data']}`, "
        + ("one random division" if len(divisions) == 1 else f"mean of {len(divisions)} random divisions"),
        words([each["runs"][0] for each in divisions]),
        f"{words(best)}: `--retrain N` with the N that is best on test, known only afterwards",
    )


QUESTIONS = {
    "products": "a product in photos of it (grocery_store)",
    "packshots": "a product by its packshot (grocery_store)",
    "corridor": "a place on a walk (vpr_corridor)",
}


def retrieval_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """How often the first hit is right, by question."""

    def words(way: str, question: str) -> str:
        told = result["ways"][way][question]
        return f"{told['right'] / told['queries']:.1%} of {told['queries']}"

    def told_of(way: str, question: str) -> str:
        return f"{words(way, question)}: {way}" if question in result["ways"][way] else ""

    others = [way for way in result["ways"] if way != "mirada"]
    return [
        (
            f"`mirada search`, first hit right, {said}",
            words("mirada", question),
            "; ".join(filter(None, (told_of(way, question) for way in others))),
        )
        for question, said in QUESTIONS.items()
    ]


def search_row(result: dict[str, Any]) -> tuple[str, str, str]:
    """The ten nearest of many vectors."""

    def words(way: str) -> str:
        asked = result["ways"][way].get("asking")
        if asked is None:
            return f"not made in {result['ways'][way]['not_made_in_minutes']:.0f} minutes"
        short = "" if asked["recall_at_10"] >= 0.99 else " (99 % not reached)"
        return f"{asked['median_ms']:.1f} ms (99 %: {asked['p99_ms']:.1f}), {asked['recall_at_10']:.2%} found{short}"

    return (
        f"`Index.search`, the ten nearest of {result['vectors']:,} x 1,280 numbers, one query",
        words("mirada"),
        "; ".join(
            f"{words(way)}: {way}{', an earlier run' if 'of' in told else ''}"
            for way, told in result["ways"].items()
            if way != "mirada"
        ),
    )


def copies_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """How many altered copies are found, and how many pictures of other things are called the same."""
    return [
        (
            f"`mirada similar`, pictures of {name}, at a certainty of 0.9",
            f"{told['copies_found']['0.9']} of {told['copies']} altered copies found; "
            f"{told['others_called_the_same']['0.9']} of {told['others']:,} other pairs",
            "",
        )
        for name, told in result["folders"].items()
        if name != "fitted"
    ]


def lenet_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Seconds until LeNet-5 has 99.0 % of MNIST's test images right, and how many at best."""
    seconds = result["median_seconds"]
    names = {"plain": "a script like PyTorch's example", "keras": "Keras on JAX"}
    peers = "; ".join(f"{seconds[name]:.0f} s: {words}" for name, words in names.items() if name in seconds)
    seeds = len(result["runs"]["mirada"])
    what = f"LeNet-5 to {result['goal']:.1%} of MNIST's test images, cold process, median of {seeds} seeds"
    reached = f"{result['reached']['mirada']} of {seeds} reach it"
    whole = statistics.median(run["whole_seconds"] for run in result["runs"]["mirada"])
    mine = f"{seconds['mirada']:.0f} s ({whole:.0f} s with calibration, test and report); {reached}"
    found = [(what, mine, peers)]
    if "best" in result:
        low, high = result["best"]["interval"]
        count = len(result["runs"]["best"])
        what = f"`mirada train mnist --recipe lenet5`, mean of {count} seeds and its 95 % interval"
        found.append((what, f"{result['best']['mean']:.2%} ({low:.2%} to {high:.2%})", ""))
    return found


def step_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Steps of training."""
    return [
        (
            f"a training step of {name}, batch {each['batch']}: {each['share_of_product'][each['precision']]:.0%} of "
            f"the machine's matrix products in {each['precision']}",
            f"{each['images_per_second']['mirada']:,.1f} images/s, {each['times_as_fast']:.1f} times as fast",
            f"{each['images_per_second']['plain']:,.1f} images/s: plain torch, float32",
        )
        for name, each in result["networks"].items()
    ]


def ingredients_row(result: dict[str, Any]) -> tuple[str, str, str]:
    """What averaging networks brings."""
    gain, members = result["all_against_their_mean"], result["accuracy"]["the whole recipe"]
    return (
        f"{len(members)} small AlexNets averaged, {result['data']} ({result['share']:.0%} of its train images), and "
        "the gain over their mean",
        f"{result['averaged'][-1]:.2%} (+{gain['gain']:.2%}, from +{gain['from']:.2%} to +{gain['to']:.2%})",
        f"{statistics.mean(members):.2%}: one of them",
    )


def index_row(result: dict[str, Any]) -> tuple[str, str, str]:
    """Photos a second, and what it costs to look again."""
    images = result["images"]
    return (
        f"`mirada index`, {images:,} JPEG files, the process whole, median of {len(result['index']['all_seconds'])}",
        f"{images / result['index']['seconds']:.0f} images/s; again, nothing changed: "
        f"{result['nothing_changed']['seconds']:.1f} s",
        f"{images / result['predict']['seconds']:.0f} images/s: `mirada predict`, in turns",
    )


def augment_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Random views a second."""
    found = []
    for name, case in result["cases"].items():
        medians = {way: statistics.median(runs) for way, runs in case["views_per_second"].items()}
        mine = medians.pop("mirada")
        others = "; ".join(f"{median:,.0f}: {way}" for way, median in medians.items())
        found.append((f"random views, one core, 500 x 375 to 224 x 224, {name}", f"{mine:,.0f} views/s", others))
    return found


def duplicates_row(result: dict[str, Any]) -> tuple[str, str, str]:
    """How many planted copies are found, at a precision of 99 %."""

    def words(told: dict[str, Any]) -> str:
        if "recall" not in told:
            return "never at that precision"
        return f"{told['recall']:.1%}, {told['precision']:.1%} of what is called so"

    ways = result["ways"]
    return (
        f"`mirada check`, {result['planted']} altered copies found, at a precision of 99 % or more",
        words(ways["mirada"]),
        "; ".join(f"{words(told)}: {way}, the best threshold" for way, told in ways.items() if way != "mirada"),
    )


def labels_row(result: dict[str, Any]) -> tuple[str, str, str]:
    """How many changed labels are the most doubtful."""
    runs = result["runs"]
    first = statistics.mean(run["found_among_the_first"]["0.1"] for run in runs)
    shown, right = (sum(run[what] for run in runs) for what in ("shown", "shown_and_changed"))
    return (
        f"`mirada check --deep`, {result['share']:.0%} of the labels of {result['data']} changed, mean of {len(runs)}",
        f"{first:.1%} of them among the first 10 %; of {shown} labels that are shown {right} were changed",
        "",
    )


def check_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What it costs beside decoding."""
    return [
        (
            f"`mirada check --quick`, {int(count):,} JPEG files of {told['side']} x {told['side']}",
            f"{told['check']['seconds']:.0f} s, at most {told['check']['peak_megabytes'] / 1000:.1f} GB",
            f"{told['decoding']['seconds']:.0f} s: decoding alone",
        )
        for count, told in result["counts"].items()
    ]


def regularise_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Accuracy with and without augmentation."""
    found = []
    for name, parts in result["questions"].items():
        for share, told in parts.items():
            means = {
                policy: statistics.mean(run["accuracy"] for run in runs) for policy, runs in told["policies"].items()
            }
            with_it = "; ".join(
                f"{policy} {means[policy]:.1%} ({gain['gain']:+.1%}, from {gain['from']:+.1%} to {gain['to']:+.1%})"
                for policy, gain in told["gains"].items()
            )
            runs = len(next(iter(told["policies"].values())))
            what = f"augmentation, gain and its 95 % interval: {name}, {float(share):.0%} of train, mean of {runs}"
            found.append((what, with_it, f"{means['none']:.1%}: without"))
    return found


def killed_row(result: dict[str, Any]) -> tuple[str, str, str]:
    """What became of trainings that were killed."""
    kills = sum(len(run["kills"]) for run in result["runs"])
    return (
        f"`mirada train --retrain {result['retrain']}`, killed {kills} times in {result['killed_runs']} runs",
        f"the weights of an undisturbed run: {result['same_weights']} of {result['killed_runs']}",
        "",
    )


def text() -> str:
    """The Markdown table of all results. A row names its machine where that is not the one of most rows."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    if not results:
        return ""
    usual = Counter(map(_machine, filter(_is_timed, results))).most_common(1)[0][0]
    lines = ["| what | mirada | peer, same run |", "|---|---|---|"]
    for result in results:
        where = f" (on {_machine(result)})" if _is_timed(result) and _machine(result) != usual else ""
        lines += [f"| {what}{where} | {mine} | {peer} |" for what, mine, peer in rows(result)]
    note = f"Measured on {usual}, but for rows that name another machine; scripts and every run: `benchmarks/`."
    return "\n".join([*lines, "", note, ""])


def _machine(result: dict[str, Any]) -> str:
    cores = result["machine"]["cores"]
    return f"{cores} core{'s' * (cores != 1)}, {result['machine']['processor']}"


def _is_timed(result: dict[str, Any]) -> bool:
    """Whether what it says depends on the speed of the machine."""
    return not result["name"].startswith(
        ("killed_", "retrieval", "copies", "duplicates", "labels", "regularise", "ingredients")
    )


def main() -> int:
    """Rewrite the README, or check it."""
    readme = README.read_text(encoding="utf-8")
    new = MARKERS.sub(lambda match: match[1] + text() + match[2], readme)
    if "--check" in sys.argv[1:]:
        return int(new != readme)
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
