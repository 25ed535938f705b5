"""Folders with one sub-folder a class: any such folder, and ImageNet.

The images stay where they are; the dataset links to them under names that tell nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentclust.datasets.recipe import Picture, Recipe, Source, found, inside, lines, mixed
from agentclust.errors import InputError
from agentclust.files.images import suffixes

ALL = "all"
SPLITS = {"train", "val", "valid", "validation", "test"}
DEVKIT = "ILSVRC2012_devkit_t12"


def _read(source: Source) -> Iterator[Picture]:
    folder = _folder(source)
    names = _sub_folders(folder)
    if names and SPLITS.issuperset(names) and all(_sub_folders(folder / n) for n in names):
        splits = {name: folder / name for name in names}
    else:
        splits = {ALL: folder}
    for split, top in splits.items():
        if source.splits and split not in source.splits:
            continue
        for name in mixed(_images(top, _sub_folders(top))):
            labels = {"class": name.partition("/")[0]}
            yield Picture(os.path.relpath(top / name, folder), split, labels, top / name)


def _folder(source: Source) -> Path:
    if not source.folder.is_dir():
        todo = "pass a folder with one sub-folder a class"
        raise InputError(source.folder, "is no folder", todo)
    return source.folder


def _sub_folders(folder: Path) -> list[str]:
    """The names of the sub-folders, in order, without hidden ones."""
    entries = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
    return sorted(name for name in entries if not name.startswith("."))


def _images(top: Path, classes: list[str]) -> Iterator[str]:
    """The images of each class, at any depth, relative to `top`."""
    known = suffixes()
    for name in classes:
        for parent, folders, files in os.walk(top / name):
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
            for file in sorted(files):
                if not file.startswith(".") and Path(file).suffix.lower() in known:
                    yield os.path.relpath(os.path.join(parent, file), top)


FOLDER = Recipe(
    about="your own: a folder with one sub-folder a class, or train and test with such",
    read=_read,
    needs="a folder with one sub-folder a class",
)


def _imagenet(n: int) -> Recipe:
    """ImageNet-1k or a subset of `n` of its classes (Russakovsky et al., IJCV 2015).

    ``train/SYNSET/*.JPEG``, and ``val`` likewise, or flat beside the development kit, whose
    ``ILSVRC2012_validation_ground_truth.txt`` has a number a line and ``meta.mat`` their synsets.
    The 50, 100 and 200 classes that SCAN (Van Gansbeke et al., ECCV 2020) took are listed in its
    repository: pass such a list as ``--classes``, a synset and its name a line.
    """

    def read(source: Source) -> Iterator[Picture]:
        folder = inside(inside(inside(_folder(source), "ILSVRC"), "Data"), "CLS-LOC")
        kit = _kit(source.folder)
        names = _names(source.folder, kit)
        classes = _classes(source, folder, names, n)
        for split in source.splits or [s for s in ("train", "val") if (folder / s).is_dir()]:
            top = found(folder, split, split)
            if _sub_folders(top) or not kit:
                for synset in classes:
                    found(top, synset, split)
                of = [(name, name.partition("/")[0]) for name in mixed(_images(top, classes))]
            else:
                of = _flat(top, source.folder / DEVKIT, kit, set(classes))
            for name, synset in of:
                labels = {"synset": synset, "class": names.get(synset, "")}
                labels = labels if names else {"synset": synset}
                yield Picture(f"{split}/{name}", split, labels, top / name)

    of = "ImageNet-1k" if n == 1000 else f"{n} classes of ImageNet"
    return Recipe(
        about=f"{of}, from a folder that you have",
        read=read,
        needs="a folder that holds train or val",
        default="val",
    )


def _classes(source: Source, folder: Path, names: dict[str, str], n: int) -> list[str]:
    """The synsets of the subset; what the list calls them goes into `names`.

    Raises:
        InputError: There are more or fewer than `n`.
    """
    if source.wishes.classes:
        where: Path = source.wishes.classes
        rows = [line.partition(" ") for line in lines(where)]
        classes = [synset for synset, _, _ in rows]
        names |= {synset: name.strip() for synset, _, name in rows if name.strip()}
    else:
        where = next((folder / s for s in ("train", "val") if (folder / s).is_dir()), folder)
        classes = _sub_folders(where) or sorted(names)
    if len(set(classes)) != n:
        todo = f"pass --classes with a list of {n}, a line each"
        raise InputError(where, f"has {len(set(classes))} classes, not {n}", todo)
    return classes


def _kit(folder: Path) -> dict[int, tuple[str, str]]:
    """Synset and words of each class by its number, from the development kit; empty without it."""
    file = folder / DEVKIT / "data" / "meta.mat"
    if not file.is_file():
        return {}
    from scipy.io import loadmat

    try:
        rows: Any = loadmat(file, squeeze_me=True)["synsets"]
        return {
            int(row["ILSVRC2012_ID"]): (str(row["WNID"]), str(row["words"]))
            for row in rows
            if int(row["num_children"]) == 0
        }
    except Exception as error:  # its reader raises anything on damaged files
        why = f"is no meta.mat of ImageNet ({error or type(error).__name__})"
        raise InputError(file, why, "restore the development kit") from None


def _names(folder: Path, kit: Mapping[int, tuple[str, str]]) -> dict[str, str]:
    """What each synset is called, where the folder tells: by the kit, or Kaggle's list."""
    file = folder / "LOC_synset_mapping.txt"
    if file.is_file():
        return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines(file)}
    return dict(kit.values())


def _flat(
    top: Path, devkit: Path, kit: Mapping[int, tuple[str, str]], classes: set[str]
) -> list[tuple[str, str]]:
    """The validation images that lie in one folder, and their synsets: in random order already."""
    file = devkit / "data" / "ILSVRC2012_validation_ground_truth.txt"
    of = []
    for place, text in enumerate(lines(found(file.parent, file.name, "val")), 1):
        if not text.isdigit() or int(text) not in kit:
            raise InputError(f"{file}:{place}", "is no class of meta.mat", "restore the file")
        synset, name = kit[int(text)][0], f"ILSVRC2012_val_{place:08d}.JPEG"
        if synset in classes:
            found(top, name, "val")
            of.append((name, synset))
    return of


IMAGENET = _imagenet(1000)
IMAGENET50 = _imagenet(50)
IMAGENET100 = _imagenet(100)
IMAGENET200 = _imagenet(200)
