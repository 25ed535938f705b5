"""The demonstration: the whole product on drawn pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from agentclust.demo import CRITERIA, LLM, demonstrate
from agentclust.errors import InputError
from agentclust.models import catalogue
from agentclust.models.fake import FakeModel, answer

pytest.importorskip("skimage", reason="the extra 'builtin' is not installed")


READING = {  # criterion -> where a caption of the built-in captioner says it
    "colour": r"separate (\w+)",
    "number of objects": r"<caption>\s*(\w+)",
    "shape": r"(\w+)-shaped",
}


class Reader(FakeModel):
    """Reads captions of the built-in captioner as a language model should."""

    def _generate(self, messages: Any, *args: Any, **how: Any) -> ChatResult:
        text = str(messages[-1].text)
        found = next((re.search(p, text) for c, p in READING.items() if f'"{c}"' in text), None)
        reply = found[1].lower() if found else answer(text)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(reply))])


def build(config: Any, name: str, seed: int) -> Reader:
    return Reader()


def test_the_demo_goes_through_and_says_where_the_report_lies(tmp_path: Path) -> None:
    lines = list(demonstrate(tmp_path / "demo", f"{__name__}:build"))
    assert len(lines) == len(CRITERIA) + 1
    for line, criterion in zip(lines, CRITERIA, strict=False):
        assert f"80 images by '{criterion}': 10 clusters" in line
        assert float(re.search(r"ACC (\d\.\d{3})", line)[1]) >= 0.9  # type: ignore[index]
    index = Path(lines[-1].removeprefix("report: "))
    page = index.read_text("utf-8")
    for criterion in CRITERIA:
        assert criterion in page
    for link in re.findall(r'href="([^"#]+report\.html)"', page):
        assert (index.parent / link).is_file()
    with pytest.raises(InputError, match="there already"):
        next(demonstrate(tmp_path / "demo", "fake"))


@pytest.mark.slow
@pytest.mark.large_model
def test_each_criterion_gives_its_own_right_grouping(
    tmp_path: Path, real_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTCLUST_HOME", str(real_home))
    if catalogue.path_of(LLM) is None:
        pytest.skip(f"{LLM} is not on this machine: agentclust models pull {LLM}")
    *lines, _ = demonstrate(tmp_path / "demo")
    scores = {
        criterion: float(re.search(r"ACC (\d\.\d{3})", line)[1])  # type: ignore[index]
        for criterion, line in zip(CRITERIA, lines, strict=True)
    }
    assert scores["colour"] >= 0.95
    assert scores["number of objects"] >= 0.95
    assert scores["shape"] >= 0.8
