"""Files of a dataset, and what is seen of it."""

import json


def ids(dataset):
    return [sample.id for sample in dataset.samples]


def reasons(dataset):
    return {left.file: left.reason for left in dataset.left_out}


def write(file, *lines, encoding="utf-8"):
    text = "".join(f"{line}\n" for line in lines)
    file.write_text(text, encoding)
    return file


def manifest(tmp_path, *rows, name="m.jsonl"):
    return str(write(tmp_path / name, *(json.dumps(row) for row in rows)))
