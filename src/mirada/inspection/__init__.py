"""What is wrong with a data set, before anything is trained on it. Nothing is changed, ever.

| module | what it finds |
|---|---|
| `files` | what cannot be read, or is odd as a file or as a picture |
| `truth` | what is said of the pictures: classes, boxes, masks |
| `twins` | the same picture twice, within and across parts and classes |
| `suspects` | labels that are probably wrong, pictures unlike all others, classes that are each other's mirror image |
"""

from mirada.inspection.augmented import augment
from mirada.inspection.check import Report, check
from mirada.inspection.findings import Finding, Item
from mirada.inspection.page import report_page

__all__ = ["Finding", "Item", "Report", "augment", "check", "report_page"]
