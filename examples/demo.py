"""The main job in one minute: a network, its training on real images, an honest score, and its answers.

Run by `make demo`, or by itself: `python examples/demo.py [FOLDER]`. The folder is made anew; nothing is overwritten.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from mirada.cli import main
from mirada.data import read

SHADES = " .:-=+*#%@"


def say(title: str, text: str) -> None:
    """A heading and a paragraph."""
    print(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n{title}")
    print(f"{text}\n", flush=True)


def run(*arguments: str) -> None:
    """Show a command and run it; stop the demo where it fails."""
    print(f"$ mirada {' '.join(arguments)}", flush=True)
    status = main(list(arguments))
    if status:
        sys.exit(status)


def new_folder(wanted: Path) -> Path:
    """The wanted folder, with a number where it exists."""
    path, number = wanted, 2
    while path.exists():
        path, number = wanted.with_name(f"{wanted.name}-{number}"), number + 1
    path.mkdir(parents=True)
    return path


def drawn(image: np.ndarray) -> str:
    """A grey picture (H, W) in letters."""
    return "\n".join("    " + "".join(SHADES[int(v) * (len(SHADES) - 1) // 255] * 2 for v in row) for row in image)


def demo(folder: Path) -> None:
    """LeNet-5 on scikit-learn's handwritten digits."""
    say(
        "1. A network",
        "LeNet-5 (1998) takes a grey picture of 32 x 32 pixels and gives 10 class scores, one a digit.\n"
        "Each row is a layer: the volume it makes, the numbers it learns, and how many pixels of the picture\n"
        "one of its values sees.",
    )
    run("layers", "lenet5")
    say(
        "2. Its training",
        "1,797 real handwritten digits (from the University of California, Irvine; they come with scikit-learn)\n"
        "are divided: most to learn from, some to choose the best weights by, and some that are looked at once,\n"
        "at the end. This takes about a quarter of a minute.",
    )
    model = folder / "digits-model"
    run("train", "digits", "--from", "lenet5", "-o", str(model))
    say(
        "3. How good it is",
        "The line 'test' is the honest one: the network never saw those images. The interval says what the score\n"
        "could be by the luck of the draw. The model is a folder; its README.md says what it is and how it was made.",
    )
    run("evaluate", str(model), "digits")
    say("4. Its answers", "Three of the pictures that it never saw, saved as PNG files, drawn here in letters:")
    pictures = save_test_pictures(model, folder)
    for picture in pictures:
        print(f"  {picture.name}\n{drawn(cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE))}\n")
    run("predict", str(model), *map(str, pictures), "--top", "2")
    say(
        "5. Your turn",
        "mirada train FOLDER        a folder with one subfolder of photos a class; starts from a network that has\n"
        "                           seen a million photos, and needs seconds to minutes\n"
        "mirada layers alexnet      the table of AlexNet; try also vgg16, resnet50, googlenet\n"
        f"Everything that was made lies in {folder}.",
    )


def save_test_pictures(model: Path, folder: Path) -> list[Path]:
    """The first test pictures of three digits, as PNG files."""
    from mirada import load

    manifest = load(model).manifest
    assert manifest is not None
    pictures = {sample.key: sample for sample in read("digits").samples}
    chosen = {entry.label: entry.key for entry in reversed(manifest.parts["test"]) if entry.label in ("3", "5", "8")}
    paths = []
    for label, key in sorted(chosen.items()):
        path = folder / f"a-{label}.png"
        array = pictures[key].array
        assert array is not None
        cv2.imwrite(str(path), array)
        paths.append(path)
    return paths


if __name__ == "__main__":
    demo(new_folder(Path(sys.argv[1] if len(sys.argv) > 1 else "mirada-demo")))
