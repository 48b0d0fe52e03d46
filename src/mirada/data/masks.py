"""Images with a mask each -> a data set of masks.

```
data/  images/a.jpg     masks/a.png                      or with train/ val/ test/ above or below images and masks
VOC/   JPEGImages/a.jpg SegmentationClass/a.png  ImageSets/Segmentation/train.txt
```

A mask is a PNG, palette or grey, whose numbers are classes. `classes.txt` beside the folders names them, one a line,
from number 0 on; without it the numbers that are met are the names. 255 is not labelled, where it is no class; where
the masks hold 0 and 255 only, these are two classes: those that are named, else background and object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from mirada.data.faults import Faults
from mirada.data.folders import PART_NAMES
from mirada.data.maskfile import MaskFile, numbers_in
from mirada.data.samples import Dataset, Part, Sample, Skipped, key_of, part_order, some
from mirada.data.text import class_name, shown, text_of
from mirada.data.threads import map_items
from mirada.data.voc import listed_parts
from mirada.data.walk import images_below, is_file, is_folder, list_folder, skip_notes
from mirada.errors import DataError
from mirada.image import IMAGE_SUFFIXES

__all__ = ["mask_folders", "read_masks"]

NOT_LABELLED: Final = 255
IMAGE_FOLDERS: Final = ("images", "image", "imgs", "jpegimages")
MASK_FOLDERS: Final = ("masks", "mask", "segmentationclass", "labels", "annotations", "gt")
MASK_SUFFIXES: Final = frozenset({".png", ".bmp", ".tif", ".tiff", ".gif", ".pgm"})
"""Of formats without loss."""
ENDINGS: Final = ("", "_mask", "_label", "_gt")
"""What the name of a mask has behind that of its image."""
CLASSES: Final = ("classes.txt", "labels.txt")
MOST_CLASSES: Final = 1_000
SHADES: Final = 32
"""Different numbers, from which some near 255 show that they are shades."""
COUNTED: Final = 16
"""Numbers of one mask, from which those that have no gap in any mask count objects."""
SHADES_HINT: Final = (
    " They look like shades of grey, as JPEG and resizing make them of a mask: save masks as PNG, and resize them "
    f"without smoothing. Where they are classes, name all in {CLASSES[0]}."
)
OBJECTS_HINT: Final = f" Give every object the number of its class. Where they are classes, name all in {CLASSES[0]}."

Pair = tuple[Path, Path, Part | None]
"""An image and its mask, or the folders of such, and their part."""


def mask_folders(root: Path) -> list[Pair]:
    """The pairs of folders of images and masks; none where it is another kind of data set."""
    pairs = _pair(root, None)
    parts = [(folder, PART_NAMES[folder.name.lower()]) for folder in list_folder(root)[0] if _is_part(folder)]
    above = [pair for folder, part in parts for pair in _pair(folder, part)]
    below = [
        (folder, masks / folder.name, PART_NAMES[folder.name.lower()])
        for images, masks, _ in pairs
        for folder in list_folder(images)[0]
        if _is_part(folder) and is_folder(masks / folder.name)
    ]
    return next(
        (held for each in (below, pairs, above) if (held := [pair for pair in each if _holds_masks(pair[1])])), []
    )


def read_masks(root: Path, pairs: Sequence[Pair], faults: Faults | None = None) -> Dataset:
    """Read pairs of folders; each mask is looked at, to learn which classes there are.

    Args:
        root: the folder of the data set.
        pairs: folders of images and of masks.
        faults: keeps what cannot be understood; where it is kept, so are masks that cannot be read, or have numbers
            that `classes.txt` does not name.

    Raises:
        DataError: no image has a mask, or one cannot be understood.
    """
    faults = faults or Faults()
    read = []
    for pair in pairs:
        with faults.kept():
            read.append(_matched(root, pair, faults))
    if not read:
        raise faults.first_or(f"{root}: no image has a mask.")
    found = sorted((each for own, _ in read for each in own), key=lambda each: (part_order(each[2]), each[0]))
    notes = tuple(note for _, own in read for note in own)
    numbers = _numbers([mask for _, mask, _ in found], faults.are_kept)
    names, values, ignored = _classes(root, numbers, faults.are_kept)
    class_ids = {value: class_id for class_id, value in enumerate(values)}
    samples = [
        Sample(
            key_of(image, root),
            MaskFile(mask, values, ignored, tuple(sorted(class_ids[value] for value in own if value in class_ids))),
            part,
            image,
        )
        for (image, mask, part), own in zip(found, numbers, strict=True)
    ]
    return Dataset(root.resolve().name, root, "masks", names, tuple(samples), notes, "segment", tuple(faults.found))


def _pair(folder: Path, part: Part | None) -> list[Pair]:
    by_name = {inner.name.lower(): inner for inner in list_folder(folder)[0]}
    images = [by_name[name] for name in IMAGE_FOLDERS if name in by_name]
    masks = [by_name[name] for name in MASK_FOLDERS if name in by_name]
    return [(images[0], masks[0], part)] if images and masks else []


def _is_part(folder: Path) -> bool:
    return folder.name.lower() in PART_NAMES


def _holds_masks(folder: Path) -> bool:
    """Whether masks lie in it; in a folder that is called so, also JPEG, so that it can be said why they are none."""
    is_called_so = {folder.name.lower(), folder.parent.name.lower()} & {"mask", "masks", "segmentationclass"}
    suffixes = IMAGE_SUFFIXES if is_called_so else MASK_SUFFIXES
    return any(file.suffix.lower() in suffixes for file in list_folder(folder)[1])


def _matched(root: Path, pair: Pair, faults: Faults) -> tuple[list[Pair], list[str]]:
    """The images of a pair of folders that have a mask, with it; and notes on what is left out."""
    folder, masks_folder, part = pair
    images, skipped = _by_stem(folder, IMAGE_SUFFIXES, faults)
    masks, skipped_masks = _by_stem(masks_folder, MASK_SUFFIXES, faults)
    mask_of = {
        stem: masks[f"{stem}{ending}"]
        for ending in reversed(ENDINGS)
        for stem in images
        if f"{stem}{ending}" in masks and (not ending or f"{stem}{ending}" not in images)
    }
    if not mask_of:
        raise DataError(_no_masks(root, folder, masks_folder, masks))
    lists = root / "ImageSets" / "Segmentation"
    parts = listed_parts(lists, images, faults) if masks_folder.name.lower() == "segmentationclass" else {}
    wanted = set(parts or images)
    kept = {stem: mask for stem, mask in mask_of.items() if stem in wanted}
    if not kept:
        raise DataError(f"{lists}: none of the images that it lists has a mask in {masks_folder}.")
    left_out = {
        "Images without a mask": [images[stem] for stem in images if stem in wanted and stem not in mask_of],
        "Masks without an image": sorted(set(masks.values()) - set(mask_of.values())),
        "Images that no list names": [images[stem] for stem in mask_of if stem not in wanted],
    }
    notes = [
        f"{what} were left out ({len(files):,}): {some(key_of(file, root) for file in sorted(files))}."
        for what, files in left_out.items()
        if files
    ]
    matched: list[Pair] = [(images[stem], mask, parts.get(stem, part)) for stem, mask in kept.items()]
    return matched, [*notes, *skip_notes([*skipped, *skipped_masks])]


def _no_masks(root: Path, folder: Path, masks_folder: Path, masks: Mapping[str, Path]) -> str:
    lossy = [] if masks else images_below(masks_folder)[0]
    if lossy:
        return f"{lossy[0]}: {lossy[0].suffix} does not keep the numbers of a mask. Save the masks as PNG."
    return f"{root}: no image in {folder} has a mask of the same name in {masks_folder}."


def _by_stem(folder: Path, suffixes: frozenset[str], faults: Faults) -> tuple[dict[str, Path], list[Skipped]]:
    """The files of these suffixes by their path in the folder without the suffix, and what was passed over."""
    images, skipped = images_below(folder)
    found: dict[str, Path] = {}
    for path in images:
        if path.suffix.lower() in suffixes:
            stem = path.relative_to(folder).with_suffix("").as_posix()
            if stem in found:
                both = f"{found[stem].name} and {path.name}"
                faults.add(DataError(f"{folder}: {both} have the same name. Keep one of them."))
            else:
                found[stem] = path
    return found, skipped


def _numbers(masks: Sequence[Path], may_be_broken: bool) -> list[tuple[int, ...]]:
    """The numbers that stand in each mask; none in one that is kept though it cannot be read."""

    def of(mask: Path) -> tuple[int, ...]:
        try:
            return numbers_in(mask)
        except DataError:
            if may_be_broken:
                return ()
            raise

    found: list[tuple[int, ...]] = []
    known: set[int] = set()
    for numbers in map_items(of, masks):
        found.append(numbers)
        known.update(numbers)
        if len(known) > MOST_CLASSES:
            raise DataError(
                f"{masks[0].parent}: the masks have more than {MOST_CLASSES:,} different numbers, so these number "
                f"objects rather than classes.{OBJECTS_HINT}"
            )
    return found


def _classes(
    root: Path, numbers_of: Sequence[tuple[int, ...]], may_be_broken: bool
) -> tuple[tuple[str, ...], tuple[int, ...], int | None]:
    """Names of the classes, the number of each, and the number that means not labelled."""
    numbers = {number for each in numbers_of for number in each}
    listed = next((root / name for name in CLASSES if is_file(root / name)), None)
    if listed is not None:
        names = _names(listed)
        if numbers <= {0, NOT_LABELLED} and NOT_LABELLED in numbers and len(names) == 2:
            return names, (0, NOT_LABELLED), None
        ignored = None if len(names) > NOT_LABELLED else NOT_LABELLED
        strange = sorted(numbers - set(range(len(names))) - {ignored})
        if strange and not may_be_broken:
            raise DataError(
                f"{root}: the masks have numbers without a class, {', '.join(map(str, strange[:5]))}: {listed.name} "
                f"names {len(names)}, counted from 0.{SHADES_HINT if _are_shades(numbers) else ''}"
            )
        return names, tuple(range(len(names))), ignored
    if numbers <= {0, NOT_LABELLED} and NOT_LABELLED in numbers:
        return ("background", "object"), (0, NOT_LABELLED), None
    if _are_shades(numbers):
        raise DataError(f"{root}: the masks have {len(numbers)} different numbers.{SHADES_HINT}")
    if _count_objects(numbers_of):
        raise DataError(
            f"{root}: every mask counts from 1 without a gap, up to {max(numbers - {NOT_LABELLED})}, so these number "
            f"objects rather than classes.{OBJECTS_HINT}"
        )
    values = tuple(sorted(numbers - {NOT_LABELLED}))
    return tuple(map(str, values)), values, NOT_LABELLED


def _are_shades(numbers: set[int]) -> bool:
    return len(numbers) > SHADES and not numbers.isdisjoint(range(225, NOT_LABELLED))


def _count_objects(numbers_of: Sequence[tuple[int, ...]]) -> bool:
    """Whether each mask holds 1, 2, ... up to a number of its own, as where objects are counted."""
    objects = [[number for number in each if number not in (0, NOT_LABELLED)] for each in numbers_of]
    counts = {len(each) for each in objects}
    return all(each == list(range(1, len(each) + 1)) for each in objects) and max(counts) > COUNTED and len(counts) > 2


def _names(listed: Path) -> tuple[str, ...]:
    names: dict[str, int] = {}
    for line, text in enumerate(text_of(listed).rstrip().splitlines(), 1):
        name = class_name(text)
        if name is None or name in names:
            raise DataError(f"{listed}, line {line}: there must be one class a line, each once, found {shown(text)}.")
        names[name] = line
    if not names:
        raise DataError(f"{listed}: there must be one class a line, and there is none.")
    return tuple(names)
