"""The peer of lenet_mnist.py: LeNet-5 on MNIST in Keras, as its documentation teaches. Options as of plain_mnist.py.

Batches of 128 of the whole set in memory, Adam with its defaults. The backend is what KERAS_BACKEND says. Prints a JSON
object: seconds since `--began` and test accuracy after each epoch, the test not counted.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers
from mnist_files import options, part_of


def _part(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = part_of(folder, name)
    wide = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    return wide[..., None].astype(np.float32) / 255, labels.astype(np.int64)


def main() -> None:
    """Train, and test after each epoch."""
    arguments = options()
    keras.utils.set_random_seed(arguments.seed)
    (x, y), (test_x, test_y) = _part(arguments.mnist, "train"), _part(arguments.mnist, "t10k")
    network = keras.Sequential(
        [
            keras.Input((32, 32, 1)),
            *(layers.Conv2D(6, 5, activation="relu"), layers.MaxPooling2D()),
            *(layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(), layers.Flatten()),
            *(layers.Dense(120, activation="relu"), layers.Dense(84, activation="relu"), layers.Dense(10)),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    curve, tested = [], 0.0
    for _ in range(arguments.epochs):
        network.fit(x, y, batch_size=128, epochs=1, verbose=0)
        seconds = time.time() - arguments.began - tested
        begin = time.perf_counter()
        right = network.evaluate(test_x, test_y, batch_size=1000, verbose=0)[1]
        tested += time.perf_counter() - begin
        curve.append({"seconds": seconds, "test_accuracy": float(right)})
        if curve[-1]["test_accuracy"] >= arguments.until:
            break
    print(json.dumps(curve))


if __name__ == "__main__":
    main()
