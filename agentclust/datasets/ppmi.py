"""People Playing Musical Instruments (Yao, Fei-Fei: Grouplet, CVPR 2010).

``norm_image/{play|with}_instrument/INSTRUMENT/{train|test}/*.jpg``. IC|TC takes the pictures of
people who play, of the test split: all twelve instruments, or seven of them, or those seven in two
families. Here ``test-7`` is the manifest of the seven.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agentclust.datasets.recipe import Archive, Picture, Recipe, Source, found, inside, mixed
from agentclust.errors import InputError
from agentclust.files.images import suffixes

FAMILIES = {
    "bassoon": "wind",
    "cello": "string",
    "clarinet": "wind",
    "erhu": "string",
    "flute": "wind",
    "french horn": "wind",
    "guitar": "string",
    "harp": "string",
    "recorder": "wind",
    "saxophone": "wind",
    "trumpet": "wind",
    "violin": "string",
}
SEVEN = {"saxophone", "guitar", "trumpet", "cello", "flute", "violin", "harp"}
BY_FOLDER = {name.replace(" ", ""): name for name in FAMILIES}
DOES = {"play": "plays", "with": "holds"}


def _read(source: Source) -> Iterator[Picture]:
    folder = inside(source.folder, "norm_image")
    files: list[tuple[str, str, str, Path]] = []
    for split in source.splits:
        does, _, part = split.rpartition("-")
        if part in ("train", "test") and does in ("", "with"):
            top = found(folder, f"{does or 'play'}_instrument", split)
            files += ((split, does or "play", *rest) for rest in _files(top, part, split))
    for split, does, instrument, file in mixed(files):
        labels = {
            "instrument": instrument,
            "instrument7": instrument if instrument in SEVEN else "",
            "family": FAMILIES[instrument],
            "interaction": DOES[does],
        }
        subsets = (f"{split}-7",) if instrument in SEVEN else ()
        yield Picture(file.relative_to(folder).as_posix(), split, labels, file, subsets)


def _files(top: Path, part: str, split: str) -> Iterator[tuple[str, Path]]:
    """The instrument and the file of each picture of a part."""
    for folder in sorted(path for path in top.iterdir() if path.is_dir()):
        letters = "".join(c for c in folder.name.lower() if c.isalpha())
        if letters not in BY_FOLDER:
            raise InputError(folder.name, "is no instrument of PPMI", "take the official archive")
        for file in sorted(found(folder, part, split).iterdir()):
            if file.suffix.lower() in suffixes() and not file.name.startswith("."):
                yield BY_FOLDER[letters], file


PPMI = Recipe(
    about="4,800 photographs of people with 12 musical instruments, 7 of them, or 2 families",
    read=_read,
    archives=(
        Archive(
            "norm_ppmi_12class.zip",
            "http://vision.stanford.edu/Datasets/norm_ppmi_12class.zip",
            "88118d8c6b50d72f0bb37a89269185ab",
        ),
    ),
    splits=("train", "test", "with-train", "with-test"),
    default="test",
)
