"""Small archives of exactly the official layouts, whose pictures show what they are labelled."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from agentclust.datasets.recipe import Wishes
from tests.pictures import picture

COLOURS = ("red", "green", "blue", "yellow", "cyan", "magenta", "black", "gray", "orange", "navy")
CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
STL10 = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
INSTRUMENTS = ("bassoon", "cello", "clarinet", "erhu", "flute", "french_horn", "guitar", "harp",
               "recorder", "saxophone", "trumpet", "violin")  # fmt: skip
SEVEN = ("cello", "flute", "guitar", "harp", "saxophone", "trumpet", "violin")


def planes(number: int, edge: int) -> np.ndarray:
    """The picture of a class: rows, columns, colours; its upper left quarter is white."""
    return np.asarray(picture((edge, edge), COLOURS[number % 10]))


def jpeg(number: int, size: tuple[int, int] = (40, 30)) -> bytes:
    stream = io.BytesIO()
    picture(size, COLOURS[number % 10]).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def tar(file: Path, members: Mapping[str, bytes | tarfile.TarInfo]) -> Path:
    with tarfile.open(file, "w:gz") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file


def pack(file: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def cifar10() -> dict[str, bytes]:
    def batch(start: int) -> bytes:
        records = []
        for number in range(start, start + 4):
            label = number % 10
            records.append(bytes([label]) + planes(label, 32).transpose(2, 0, 1).tobytes())
        return b"".join(records)

    files = {f"data_batch_{n}.bin": batch(4 * n) for n in range(1, 6)}
    files |= {"test_batch.bin": batch(0) + batch(4) + batch(8)}
    files |= {"batches.meta.txt": ("\n".join(CIFAR10) + "\n\n").encode()}
    return {f"cifar-10-batches-bin/{name}": content for name, content in files.items()}


def cifar100() -> dict[str, bytes]:
    """The superclass of class n is n // 5, and a picture has the colour of its superclass."""

    def records(step: int) -> bytes:
        numbers = [n * 37 % 100 for n in range(0, 100, step)]  # in no order, as in the real one
        return b"".join(
            bytes([n // 5, n]) + planes(n // 5, 32).transpose(2, 0, 1).tobytes() for n in numbers
        )

    fine = "\n".join(f"fine{n}" for n in range(100)) + "\n"
    coarse = "\n".join(f"coarse{n}" for n in range(20)) + "\n"
    files = {
        "train.bin": records(3),
        "test.bin": records(7),
        "fine_label_names.txt": fine.encode(),
        "coarse_label_names.txt": coarse.encode(),
    }
    return {f"cifar-100-binary/{name}": content for name, content in files.items()}


def stl10() -> dict[str, bytes]:
    def images(numbers: range) -> bytes:  # a plane is stored column by column
        return b"".join(planes(n, 96).transpose(2, 1, 0).tobytes() for n in numbers)

    def labels(numbers: range) -> bytes:
        return bytes(n % 10 + 1 for n in numbers)

    files = {
        "class_names.txt": ("\n".join(STL10) + "\n").encode(),
        "fold_indices.txt": b"0 1 2\n",
        "train_X.bin": images(range(5)),
        "train_y.bin": labels(range(5)),
        "test_X.bin": images(range(3, 15)),
        "test_y.bin": labels(range(3, 15)),
        "unlabeled_X.bin": images(range(4)),
    }
    return {f"stl10_binary/{name}": content for name, content in files.items()}


def mnist() -> dict[str, bytes]:
    def images(numbers: range) -> bytes:
        head = np.array([0x803, len(numbers), 28, 28], ">u4").tobytes()
        return head + b"".join(digit(n).tobytes() for n in numbers)

    def labels(numbers: range) -> bytes:
        head = np.array([0x801, len(numbers)], ">u4").tobytes()
        return head + bytes(n % 10 for n in numbers)

    return {
        "train-images-idx3-ubyte": images(range(7)),
        "train-labels-idx1-ubyte": labels(range(7)),
        "t10k-images-idx3-ubyte": images(range(5, 18)),
        "t10k-labels-idx1-ubyte": labels(range(5, 18)),
    }


def digit(number: int) -> np.ndarray:
    """A grey picture whose brightness is the digit's, with a corner that is white."""
    pixels = np.full((28, 28), 20 * (number % 10), np.uint8)
    pixels[:5, :9] = 255
    return pixels


def clevr4() -> dict[str, bytes]:
    shapes, textures = ("cube", "torus"), ("rubber", "metal", "emojis")
    annotations, files = {}, {}
    for number in range(20):
        name = f"CLEVR_{number:06d}"
        annotations[name] = {
            "texture": textures[number % 3],
            "shape": shapes[number // 10],  # in the order of the names
            "color": COLOURS[number % 5],
            "count": number % 10 + 1,
            "split": "val" if number % 4 == 0 else "train",
        }
        stream = io.BytesIO()
        picture((24, 16), COLOURS[number % 5]).save(stream, "PNG")
        files[f"images/{name}.png"] = stream.getvalue()
    return files | {"clevr_4_annots.json": json.dumps(annotations).encode()}


def stanford_images() -> dict[str, bytes]:
    actions = ("applauding", "blowing_bubbles", "brushing_teeth")
    return {
        f"JPEGImages/{action}_{n:03d}.jpg": jpeg(number)
        for number, action in enumerate(actions)
        for n in range(1, 7)
    }


def stanford_splits() -> dict[str, bytes]:
    names = [name.removeprefix("JPEGImages/") for name in stanford_images()]
    lists = {"train": names[::2], "test": names[1::2]}
    files = {f"ImageSplits/{split}.txt": "\r\n".join(of) for split, of in lists.items()}
    counts = "applauding\t\t6\nblowing_bubbles\t6\nbrushing_teeth\t6"
    actions = f"action_name\tnumber_of_images\n{counts}"
    files |= {"ImageSplits/actions.txt": actions}
    return {name: text.encode() + b"\n" for name, text in files.items()}


def ppmi() -> dict[str, bytes]:
    return {"README": b"PPMI"} | {
        f"norm_image/{does}_instrument/{name}/{split}/Norm_{does}_{name}_{n}.jpg": jpeg(number)
        for does in ("play", "with")
        for number, name in enumerate(INSTRUMENTS)
        for split, count in (("train", 1), ("test", 2))
        for n in range(count)
    }


ARCHIVES: dict[str, dict[str, Callable[[], dict[str, bytes]]]] = {
    "cifar10": {"cifar-10-binary.tar.gz": cifar10},
    "cifar100": {"cifar-100-binary.tar.gz": cifar100},
    "stl10": {"stl10_binary.tar.gz": stl10},
    "clevr4-10k": {"clevr_4_10k_v1.zip": clevr4},
    "clevr4-100k": {"clevr_4_100k_v1.zip": clevr4},
    "stanford40": {
        "Stanford40_JPEGImages.zip": stanford_images,
        "Stanford40_ImageSplits.zip": stanford_splits,
    },
    "ppmi": {"norm_ppmi_12class.zip": ppmi},
}
GZIPPED = "mnist"  # a file each


def members(name: str) -> dict[str, dict[str, bytes]]:
    """The members of each archive of a dataset, by the archive's official name."""
    if name == GZIPPED:
        return {f"{file}.gz": {file: content} for file, content in mnist().items()}
    return {file: build() for file, build in ARCHIVES[name].items()}


def archived(folder: Path, contents: Mapping[str, Mapping[str, bytes]]) -> Wishes:
    """Write archives, and the wish to prepare a dataset from them, with their checksums."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, held in contents.items():
        if name.endswith(".zip"):
            pack(folder / name, held)
        elif name.endswith(".tar.gz"):
            tar(folder / name, held)
        else:
            (folder / name).write_bytes(gzip.compress(next(iter(held.values()))))
    return Wishes(given=(str(folder),), checksums=tuple(sums(folder)))


def sums(folder: Path) -> list[str]:
    return [
        f"{file.name}={hashlib.sha512(file.read_bytes()).hexdigest()}"
        for file in sorted(folder.iterdir())
    ]


def unpacked(folder: Path, contents: Mapping[str, Mapping[str, bytes]]) -> Wishes:
    """The same as a folder that somebody has unpacked."""
    for held in contents.values():
        for name, content in held.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return Wishes(given=(str(folder),))


def close(image: Image.Image, other: Image.Image, most: float = 0.0) -> bool:
    """Whether two pictures are the same, up to what a JPEG loses."""
    one, two = (np.asarray(i.convert("RGB"), np.float32) for i in (image, other))
    return one.shape == two.shape and float(np.abs(one - two).mean()) <= most
