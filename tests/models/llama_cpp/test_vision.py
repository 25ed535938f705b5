"""Images are seen through a projector."""

import base64
import io
from contextlib import closing

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from PIL import Image

from agentclust.errors import InputError, ModelError, RequestRefused
from tests.models.llama_cpp.prompts import OPTIONS, PROMPTS, SHORT, cached, make


def picture(colour, form="JPEG"):
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(stream, form)
    url = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": url}}


def look(*parts, system=SHORT):
    return [SystemMessage(system), HumanMessage([*parts, {"type": "text", "text": "What is it?"}])]


def test_an_image_is_seen(tiny, mmproj):
    with closing(make(tiny, mmproj=mmproj)) as model:
        red, blue = (look(picture(colour)) for colour in ("red", "blue"))
        (first,) = model.choose([red], OPTIONS)
        (second,) = model.choose([blue], OPTIONS)
        text = model.invoke(PROMPTS[0], max_tokens=8).text
        assert model.choose([red], OPTIONS)[0].probabilities == first.probabilities
        assert first.probabilities != second.probabilities
        assert sum(first.probabilities) == pytest.approx(1)
        seen = model.invoke(red, max_tokens=5)
        assert seen.usage_metadata["output_tokens"] == 5
        pair = model.invoke(look(picture("red"), picture("blue")), max_tokens=1)
        extra = pair.usage_metadata["input_tokens"] - seen.usage_metadata["input_tokens"]
        assert extra == 5  # 4 image tokens and a line break
        assert model.invoke(PROMPTS[0], max_tokens=8).text == text
        assert cached(seen) == 0
    with closing(make(tiny)) as blind:
        assert blind.invoke(PROMPTS[0], max_tokens=8).text == text


def test_an_image_that_cannot_be_read(tiny, mmproj):
    address = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.jpg"}}
    broken = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}}
    with closing(make(tiny, mmproj=mmproj, n_ctx=256)) as model:
        with pytest.raises(RequestRefused, match="address"):
            model.invoke(look(address))
        with pytest.raises(RequestRefused, match="cannot be read"):
            model.invoke(look(broken))
        with pytest.raises(RequestRefused, match="256"):
            model.invoke(look(picture("red"), system="z" * 400))
        assert sum(model.choose([look(picture("red"))], OPTIONS)[0].probabilities) == pytest.approx(
            1
        )


def test_an_image_without_a_projector(model):
    with pytest.raises(InputError, match="mmproj"):
        model.invoke(look(picture("red")))


def test_a_projector_that_is_none(tiny, tmp_path, capfd):
    with pytest.raises(ModelError, match="is no vision projector for tiny"):
        make(tiny, mmproj=tiny)
    with pytest.raises(InputError, match="no such file"):
        make(tiny, mmproj=tmp_path / "missing.gguf")
    assert capfd.readouterr() == ("", "")
