"""The peer of transfer.py: EfficientNet-Lite0 fine-tuned by fastai as its documentation teaches, with the same weights.

    python benchmarks/peers/fastai_transfer.py FILES.json

FILES.json and the JSON object that is printed are those of plain_transfer.py. `vision_learner` builds timm's network
with fastai's own head; the ImageNet weights come from the installed package instead of the network. `fine_tune` trains
the head for one epoch, then all layers for `--epochs`; as it is taught, the last epoch is kept. The curve of test
accuracy is not counted and not chosen by. Does not import mirada.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from fastai.vision.all import (
    Callback,
    CategoryBlock,
    DataBlock,
    DataLoaders,
    ImageBlock,
    IndexSplitter,
    ItemGetter,
    Learner,
    Normalize,
    Resize,
    TfmdDL,
    accuracy,
    aug_transforms,
    set_seed,
    vision_learner,
)
from plain_transfer import MEAN, NETWORK, SIZE, STD, Clock, load_body, print_result, right_answers


class Curve(Callback):
    """Notes the seconds and accuracies after every epoch, those of test with the clock stopped."""

    order = 60  # after the recorder, which has the accuracy on val

    def __init__(self, clock: Clock, test: TfmdDL) -> None:
        self.clock = clock
        self.test = test
        self.epochs: list[dict[str, Any]] = []

    def after_epoch(self) -> None:
        """Called by fastai."""
        seconds = self.clock.seconds()
        with self.clock.stopped():
            test_accuracy = right_answers(self.learn.model, self.test) / len(self.test.items)
        self.epochs.append(
            {
                "stage": "all" if self.epochs else "head",
                "seconds": seconds,
                "val_accuracy": self.learn.recorder.values[-1][-1],
                "test_accuracy": test_accuracy,
            }
        )


def loaders_of(files: dict[str, Any], batch_size: int) -> DataLoaders:
    """Train and val: resized to 460 one by one, varied and resized to 224 in batches."""
    named = {part: [(path, files["class_names"][i]) for path, i in files[part]] for part in ("train", "val")}
    items = [*named["train"], *named["val"]]
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=files["class_names"], sort=False)),
        get_x=ItemGetter(0),
        get_y=ItemGetter(1),
        splitter=IndexSplitter(range(len(named["train"]), len(items))),
        item_tfms=Resize(460),
        batch_tfms=[*aug_transforms(size=SIZE), Normalize.from_stats(MEAN, STD)],
    )
    return block.dataloaders(items, bs=min(batch_size, len(named["train"])))


def learner_of(dls: DataLoaders) -> Learner:
    """A learner whose body has the weights of the package."""
    learn = vision_learner(dls, NETWORK, pretrained=False, normalize=False, metrics=accuracy)
    load_body(learn.model[0].model)
    return learn


def main() -> None:
    """Fine-tune, test once, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path)
    parser.add_argument("--epochs", type=int, default=6, help="of all layers, after one of the head")
    parser.add_argument("--batch-size", type=int, default=64, help="default: fastai's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--began", type=float, help="time.time() at the start of the process; default: now")
    arguments = parser.parse_args()
    clock = Clock(arguments.began or time.time())
    set_seed(arguments.seed)

    files = json.loads(arguments.files.read_text(encoding="utf-8"))
    dls = loaders_of(files, arguments.batch_size)
    test = dls.test_dl([(path, files["class_names"][i]) for path, i in files["test"]], with_labels=True)
    learn = learner_of(dls)
    curve = Curve(clock, test)
    learn.add_cb(curve)
    ready = clock.seconds()

    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(arguments.epochs)
    right = right_answers(learn.model, test)
    print_result(curve.epochs, len(curve.epochs) - 1, ready, clock, right, len(files["test"]))


if __name__ == "__main__":
    main()
