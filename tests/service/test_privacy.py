"""What a model is told, and what it is never told."""

from __future__ import annotations

import json

import pytest

from agentclust.errors import RunError
from tests.plugged import noted, pictures
from tests.service.starting import RECORDING, start


@pytest.mark.parametrize("mode", ["default", "paper"])
def test_no_prompt_holds_a_name_a_path_or_an_id(tmp_path, asked, mode):
    folder = pictures(tmp_path / "hidden folder", "rgrg")
    rows = [
        {"id": f"private{i}", "file": f"{folder.name}/secret{i}.png", "truth": "concealed"}
        for i in range(4)
    ]
    texts = ["a sphere", "a cone"] * 3
    rows += [{"id": f"private{i}", "caption": text} for i, text in enumerate(texts, 4)]
    rows += [{"id": "private-label", "caption": "it is a cone", "raw_label": "cone"}]
    file = tmp_path / "listing.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    try:
        start(file, tmp_path / "run", vlm=RECORDING, llm=RECORDING, mode=mode,
              paper_min_count=0)  # fmt: skip
    except RunError:
        assert mode == "paper"  # the fake model gives no list there
    prompts = noted(asked)
    assert sum(not isinstance(row["human"], str) for row in prompts) == 4
    assert len(prompts) > 6
    for row in prompts:
        text = json.dumps(row | {"digest": ""})
        for secret in ("secret", "private", "hidden", "listing", "concealed", "truth", ".png",
                       str(tmp_path)):  # fmt: skip
            assert secret not in text


def test_a_picture_travels_without_its_metadata(tmp_path, asked):
    import base64
    import io

    from PIL import Image, PngImagePlugin

    (tmp_path / "pictures").mkdir()
    told = PngImagePlugin.PngInfo()
    told.add_text("Description", "concealed truth")
    exif = Image.Exif()
    exif[0x010E] = "concealed truth"
    for i in range(2):
        picture = Image.new("RGB", (8 + i, 8), "red")
        picture.save(tmp_path / f"pictures/a{i}.png", pnginfo=told, exif=exif)
        picture.save(tmp_path / f"pictures/b{i}.jpg", exif=exif, comment=b"concealed truth")
    with pytest.raises(RunError):
        start(tmp_path / "pictures", tmp_path / "run", vlm=RECORDING, method="ictc")
    urls = [row["human"][0]["image_url"]["url"] for row in noted(asked)]
    assert len(urls) == 4
    for url in urls:
        data = base64.b64decode(url.partition(",")[2])
        assert b"concealed" not in data
        with Image.open(io.BytesIO(data)) as sent:
            assert not sent.getexif()
