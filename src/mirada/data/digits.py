"""scikit-learn's handwritten digits: a real data set that needs no network, for first steps and for tests."""

from __future__ import annotations

import numpy as np

from mirada.carried import carried
from mirada.data.samples import Dataset, Sample, class_labels

__all__ = ["read_digits"]


def read_digits() -> Dataset:
    """1,797 grey images of 8 x 8 pixels in ten classes, "0" to "9".

    The source counts 0 to 16 in each pixel; here that is scaled to 0 to 255 and rounded, uint8.
    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (its test part).
    """
    table = np.loadtxt(carried("data", "digits.csv.gz"), delimiter=",")  # (1797, 65): the pixels, and the digit
    arrays = np.rint(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    arrays.flags.writeable = False
    names = [str(int(digit)) for digit in table[:, -1]]
    labels = class_labels(names)
    samples = tuple(
        Sample(key=f"digits[{index}]", truth=labels[name], array=array)
        for index, (name, array) in enumerate(zip(names, arrays, strict=True))
    )
    return Dataset("digits", None, "digits", tuple(labels), samples)
