"""What makes a dataset: where its archives are, and how they are read.

It knows nothing of fetching, unpacking or writing: whoever adds a dataset says what it is made of,
and `agentclust.datasets.preparing` does the rest.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from PIL import Image

from agentclust.errors import InputError

Item = TypeVar("Item")


class Archive(NamedTuple):
    """One file that a dataset is published in.

    Attributes:
        file: Its name, which says how to unpack it: ``.tar``, ``.tar.gz``, ``.tgz``, ``.zip``, or
            ``.gz`` of a single file.
        url: Where it is.
        checksum: As its publisher gives it, MD5, SHA-1, SHA-256 or SHA-512 in hex, told apart by
            their lengths; empty where none is known.
        sums: Where the publisher lists checksums, a line a file, where none is written here.
    """

    file: str
    url: str
    checksum: str = ""
    sums: str = ""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asked for beside the name of a dataset.

    Attributes:
        given: What is there already: archives, a folder of them, or an unpacked folder.
        checksums: Hex digests, or ``FILE=DIGEST``, in place of the known ones.
        splits: The splits that are wanted; those of the recipe if none is named.
        labels: ``AXIS=FILE``: further label axes from files of their own.
        axes: For tables, the columns that are label axes; all that can be if none is named.
        classes: A file that lists the classes to take.
    """

    given: tuple[str, ...] = ()
    checksums: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()
    classes: Path | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """What a recipe reads from.

    Attributes:
        folder: What the archives unpacked to, or the folder or file that a person gave.
        splits: The splits that are wanted; empty for all that are found.
        wishes: What a person asked for.
    """

    folder: Path
    splits: tuple[str, ...]
    wishes: Wishes


@dataclass(frozen=True, slots=True)
class Picture:
    """One sample on its way from an archive into a dataset.

    Attributes:
        source: Where it stood: a member of the archive, or a file and a number.
        split: The split it belongs to.
        labels: Its true label on every axis of the dataset, empty where it has none.
        content: The image, the file that holds it, or None where there is only a caption.
        subsets: Further manifests that it stands in.
        known: What is already known of it, ``caption`` or ``raw_label``.
    """

    source: str
    split: str
    labels: Mapping[str, str]
    content: Image.Image | Path | None
    subsets: tuple[str, ...] = ()
    known: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A dataset that can be prepared.

    Attributes:
        about: What it is, in one line.
        read: Gives the pictures of an unpacked source one after the other, in an order that tells
            nothing of their labels (see `mixed`), each with the same axes.
        archives: What it is published in; none where a person gives all of it.
        needs: Without archives, what ``--from`` must name.
        splits: The splits that are prepared unless others are named; empty for all that are found.
        default: The manifest that the dataset's name stands for; the first split if empty.
    """

    about: str
    read: Callable[[Source], Iterable[Picture]]
    archives: tuple[Archive, ...] = ()
    needs: str = ""
    splits: tuple[str, ...] = ()
    default: str = ""


def mixed(items: Iterable[Item]) -> list[Item]:
    """The items in an order that is always the same and tells nothing of their labels."""
    rows = list(items)
    random.Random(0).shuffle(rows)
    return rows


def inside(folder: Path, name: str) -> Path:
    """The folder `name` in what was unpacked or given, which may also be that folder itself."""
    return folder / name if (folder / name).is_dir() else folder


def found(folder: Path, name: str, split: str = "") -> Path:
    """A file or folder that a dataset must hold.

    Raises:
        InputError: It is not there.
    """
    if not (folder / name).exists():
        of = f", so there is no split {split!r}" if split else ""
        raise InputError(name, f"is missing{of}", "take all of the official archive")
    return folder / name


def among(value: int, names: Sequence[str], where: str) -> str:
    """The class with this number.

    Raises:
        InputError: There is none, so the file is another one or damaged.
    """
    if not 0 <= value < len(names):
        why = f"says class {value}, and there are {len(names)}"
        raise InputError(where, why, "take the official archive")
    return names[value]


def lines(file: Path) -> list[str]:
    """The lines of a text file that hold something.

    Raises:
        InputError: It cannot be read.
    """
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(file.name, "is not UTF-8 text", "take the official file") from None
    except OSError as error:
        raise InputError(file, f"cannot be read ({error.strerror})", "check it") from None
    return [line.strip() for line in text.splitlines() if line.strip()]
