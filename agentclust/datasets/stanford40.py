"""Stanford 40 Actions (Yao et al.: Human Action Recognition, ICCV 2011).

``JPEGImages/ACTION_001.jpg``, and in ``ImageSplits`` the lists ``actions.txt`` (a head, then an
action and its number of images a line), ``train.txt`` and ``test.txt``. IC|TC's labels of location
and mood for these images are files of their own: ``--labels location=FILE --labels mood=FILE``.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentclust.datasets.recipe import (
    Archive,
    Picture,
    Recipe,
    Source,
    found,
    inside,
    lines,
    mixed,
)
from agentclust.errors import InputError

HOME = "http://vision.stanford.edu/Datasets"
ALL = "all"


def _read(source: Source) -> Iterator[Picture]:
    images = found(source.folder, "JPEGImages")
    lists = inside(source.folder, "ImageSplits")
    actions = {line.split()[0] for line in lines(found(lists, "actions.txt"))[1:]}
    for split in source.splits:
        if split not in ("train", "test"):
            continue
        for name in mixed(lines(found(lists, f"{split}.txt", split))):
            action, _, _ = name.rpartition("_")
            if action not in actions:
                raise InputError(f"{split}.txt: {name}", "is no known action", "check actions.txt")
            labels = {"action": action.replace("_", " ")}
            yield Picture(f"JPEGImages/{name}", split, labels, found(images, name), (ALL,))


STANFORD40 = Recipe(
    about="9,532 photographs of 40 actions; location and mood from label files",
    read=_read,
    archives=tuple(
        Archive(f"Stanford40_{part}.zip", f"{HOME}/Stanford40_{part}.zip")
        for part in ("JPEGImages", "ImageSplits")
    ),
    splits=("train", "test"),
    default=ALL,
)
