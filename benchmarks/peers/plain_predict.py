"""The peer of predict.py and cold.py: photos classified by plain timm, torchvision and torch, as one would write it.

    python benchmarks/peers/plain_predict.py MODEL FOLDER
    python benchmarks/peers/plain_predict.py MODEL PHOTO

MODEL is a folder with network.json {"timm_name", "class_names", "resize", "size", "mean", "std"} and
weights.safetensors with timm's names; predict.py writes it. Prints one JSON object: for a photo its label and
probability; for a folder of JPEGs the images a second, after two batches that warm up, and the labels by name. Does not
import mirada.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

BATCH_SIZE = 32
WORKERS = 2


class Photos(Dataset[Tensor]):
    """Files -> normalised pixels (3, h, w) float32."""

    def __init__(self, files: list[Path], transform: transforms.Compose) -> None:
        self.files = files
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.files[index]) as image:
            return self.transform(image.convert("RGB"))


def load(folder: Path) -> tuple[nn.Module, transforms.Compose, list[str]]:
    """The network, the transform of its photos, and the names of its classes."""
    content = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    network = timm.create_model(content["timm_name"], num_classes=len(content["class_names"]))
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    transform = transforms.Compose(
        [
            transforms.Resize(content["resize"]),
            transforms.CenterCrop(content["size"]),
            transforms.ToTensor(),
            transforms.Normalize(content["mean"], content["std"]),
        ]
    )
    return network.eval(), transform, content["class_names"]


@torch.inference_mode()
def one_photo(model: Path, photo: Path) -> dict[str, Any]:
    """What one photo shows."""
    network, transform, names = load(model)
    probabilities = network(Photos([photo], transform)[0].unsqueeze(0)).softmax(1)[0]  # (K,)
    probability, class_id = probabilities.max(0)
    return {"path": str(photo), "label": names[int(class_id)], "probability": float(probability)}


@torch.inference_mode()
def many_photos(model: Path, folder: Path) -> dict[str, Any]:
    """What the photos of a folder show, and how many a second were classified."""
    network, transform, names = load(model)
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))
    photos = Photos(files, transform)
    for _ in range(2):
        network(photos[0].expand(BATCH_SIZE, -1, -1, -1).contiguous())
    class_ids: list[int] = []
    begin = time.perf_counter()
    for images in DataLoader(photos, BATCH_SIZE, num_workers=WORKERS):
        class_ids += network(images).argmax(1).tolist()
    seconds = time.perf_counter() - begin
    labels = {path.name: names[class_id] for path, class_id in zip(files, class_ids, strict=True)}
    return {"images": len(files), "seconds": seconds, "images_per_second": len(files) / seconds, "labels": labels}


def main() -> None:
    """One photo, or a folder of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("photos", type=Path)
    arguments = parser.parse_args()
    classify = many_photos if arguments.photos.is_dir() else one_photo
    print(json.dumps(classify(arguments.model, arguments.photos)))


if __name__ == "__main__":
    main()
