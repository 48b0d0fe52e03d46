"""The peer of lenet_mnist.py: LeNet-5 on MNIST in the style of PyTorch's own MNIST example.

    python benchmarks/peers/plain_mnist.py MNIST [--epochs 14] [--seed 0] [--until 0.99]

Batches of 64 from a DataLoader that converts and normalises image by image, Adadelta from a rate of 1 that is
multiplied by 0.7 after each epoch, the test images after each epoch. MNIST is the folder of IDX files. Prints a JSON
object: seconds since `--began` and test accuracy after each epoch, the test not counted. Does not import
mirada.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from mnist_files import options, part_of
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Digits(Dataset[tuple[Tensor, int]]):
    """Images as PIL gives them, then transformed, as torchvision's own MNIST does."""

    def __init__(self, folder: Path, part: str) -> None:
        self.images, self.labels = part_of(folder, part)
        self.transform = transforms.Compose(
            [transforms.Pad(2), transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[place])), int(self.labels[place])


def lenet5() -> nn.Sequential:
    """As mirada's zoo has it: ReLU, max pooling, 61,706 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def main() -> None:
    """Train, and test after each epoch."""
    arguments = options()
    torch.manual_seed(arguments.seed)
    train = DataLoader(Digits(arguments.mnist, "train"), batch_size=64, shuffle=True)
    test = DataLoader(Digits(arguments.mnist, "t10k"), batch_size=1000)
    network = lenet5()
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    curve, tested = [], 0.0
    for _ in range(arguments.epochs):
        network.train()
        for images, labels in train:
            optimizer.zero_grad()
            loss = functional.cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()
        schedule.step()
        seconds = time.time() - arguments.began - tested
        begin = time.perf_counter()
        network.eval()
        with torch.no_grad():
            right = sum(int((network(images).argmax(1) == labels).sum()) for images, labels in test)
        tested += time.perf_counter() - begin
        curve.append({"seconds": seconds, "test_accuracy": right / 10_000})
        if curve[-1]["test_accuracy"] >= arguments.until:
            break
    print(json.dumps(curve))


if __name__ == "__main__":
    main()
