"""A path becomes samples, samples become parts, parts become batches of pixels. Nothing is written into a data set.

| module | what is in it |
|---|---|
| `samples` | `Sample`, `Dataset`, `Skipped`: the values that every reader makes |
| `walk` | folders -> files, each with the reason why it is not read; `images_in` for predictions |
| `sources` | `read`: a path -> a `Dataset`, its kind recognised |
| `folders`, `table`, `idx`, `digits` | one reader a kind, for classes |
| `shards`, `member` | archives of images, here or in object storage; a file inside one |
| `coco`, `voc`, `yolo` | one reader a kind, for boxes; `runs`: COCO's runs of pixels |
| `masks`, `maskfile` | images with a mask each; the numbers of one mask |
| `text` | annotation files, read within bounds |
| `faults` | `Fault`: a place that cannot be understood, and whether reading goes on |
| `split` | `split`: a `Dataset` -> train, val and test, with copies kept together |
| `units` | what must not be divided, and how the rest is shared out |
| `manifest` | a split on disk, and `verify`: what has changed since |
| `threads` | samples -> results, in order, by threads |
| `conversion` | `convert`: a `Dataset` -> the same in another format; `box_formats`, `output`: how it is written |
| `loader` | `prepared`, `prepared_batches`, `load_all`: samples -> pixels, with bounded memory |
"""

from typing import TYPE_CHECKING

from mirada.data.faults import Fault
from mirada.data.loader import Batch, load_all, prepared, prepared_batches
from mirada.data.manifest import Changes, Entry, Fractions, Manifest, read_manifest, verify, write_manifest
from mirada.data.samples import PARTS, Dataset, Part, Sample, Skipped
from mirada.data.split import Split, split, split_as
from mirada.data.walk import images_in
from mirada.lazy import loaded_when_used
from mirada.machine.cpus import available_cpus

if TYPE_CHECKING:
    from mirada.data.conversion import convert
    from mirada.data.sources import read

__all__ = [
    "PARTS",
    "Batch",
    "Changes",
    "Dataset",
    "Entry",
    "Fault",
    "Fractions",
    "Manifest",
    "Part",
    "Sample",
    "Skipped",
    "Split",
    "available_cpus",
    "convert",
    "images_in",
    "load_all",
    "prepared",
    "prepared_batches",
    "read",
    "read_manifest",
    "split",
    "split_as",
    "verify",
    "write_manifest",
]

# A model that predicts reads no data set.
if not TYPE_CHECKING:  # which would take any name for one of this package
    __getattr__ = loaded_when_used(__name__, {"convert": "mirada.data.conversion", "read": "mirada.data.sources"})
