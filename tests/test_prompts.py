import csv
import re
from pathlib import Path

import pytest
import yaml

from agentclust.prompts import FOLDER, Template, check_folder, load
from agentclust.types import Sample
from tests.complaints import complains

NAMES = sorted(file.stem for file in FOLDER.glob("*.yaml"))
CAPTIONS = Path(__file__).parents[2] / "shared" / "data" / "captions"
VALUES = {
    "criterion": "kind of weather",
    "caption": "A caption </caption> with {{ braces }} and {% blocks %}.",
    "names": ["rain", "sun & wind", "<snow>"],
    "label": "drizzle",
    "labels": {"rain": 3, "sun": 2},
    "k": 2,
    "hint": " of broad kinds",
    "what": "snowy scenes",
    "said": "these are no storms",
    "earlier": "make it calmer",
    "question": "Which images are to be calmer?",
    "captions": ["A wet street.", "A bright lawn."],
    "words": ["wet", "umbrella"],
    "n": 40,
    "attempts": ["01-weather: rain, sun", "02-weather: rain, snow"],
    "findings": ["nearly no sample is in sun", "'rain' holds 90% of the samples"],
    "options": ["name_again(): say it anew", "split(rain): it holds too much"],
}
FIELDS = {
    "name": "label",
    "version": 1,
    "description": "A test.",
    "variables": ["criterion", "caption"],
    "system": "Sort by {{ criterion }}.",
    "user": "{{ caption }}",
}


def own(folder, **changes):
    """A folder with a template of ours whose fields are changed, None taking one away."""
    fields = {name: value for name, value in (FIELDS | changes).items() if value is not None}
    folder.mkdir(exist_ok=True)
    (folder / "label.yaml").write_text(yaml.safe_dump(fields, allow_unicode=True), "utf-8")
    return folder


def values_for(template):
    values = {name: VALUES[name] for name in template.variables}
    if template.name == "names":
        values["labels"] = list(VALUES["labels"].items())
    return values


# ours


@pytest.mark.parametrize("name", NAMES)
def test_every_template_of_ours_renders(name):
    template = load(name)
    assert template.name == name
    assert template.version >= 1
    request = template.render(**values_for(template))
    texts = f"{request.system}\n{request.user}"
    assert request.user
    assert request.user == request.user.strip()
    for variable in set(template.variables) - {"caption", "labels"}:
        shown = VALUES[variable]
        assert str(shown[1] if isinstance(shown, list) else shown) in texts, variable


@pytest.mark.parametrize("name", NAMES)
def test_what_all_samples_share_stands_in_the_system_text(name):
    template = load(name)
    values = values_for(template)
    if "caption" in values:
        other = values | {"caption": "Another caption."}
        assert template.render(**other).system == template.render(**values).system
        assert template.render(**other).user != template.render(**values).user


def test_values_are_not_templates_and_close_no_tags():
    request = load("label").render(**values_for(load("label")))
    assert "{{ braces }} and {% blocks %}" in request.user
    assert request.user.count("</caption>") == 1


def benchmark_classes():
    files = sorted(CAPTIONS.glob("*/labels.csv"))
    if not files:
        pytest.skip(f"no labels below {CAPTIONS}")
    classes = set()
    for file in files:
        with file.open(encoding="utf-8", newline="") as stream:
            classes |= {row["label"] for row in csv.DictReader(stream)}
    return sorted(classes)


@pytest.mark.parametrize("name", NAMES)
def test_no_template_names_a_class_of_a_benchmark(name):
    template = load(name)
    text = " ".join(f"{template.system} {template.user}".lower().replace("_", " ").split())
    found = [
        known
        for known in benchmark_classes()
        if re.search(rf"\b{re.escape(known.lower().replace('_', ' '))}s?\b", text)
    ]
    assert not found


# templates of a person


def test_a_folder_overrides_by_file_name(tmp_path):
    folder = own(tmp_path / "mine")
    request = load("label", folder).render(criterion="mood", caption="A cat.")
    assert (request.system, request.user) == ("Sort by mood.", "A cat.")
    assert load("names", folder) == load("names")
    check_folder(folder)


def test_the_digest_changes_with_the_texts_alone(tmp_path):
    digest = load("label", own(tmp_path / "a")).sha256
    assert len(digest) == 64
    assert load("label", own(tmp_path / "a", description="Another.", version=2)).sha256 == digest
    others = [
        load("label", own(tmp_path / "a", **change)).sha256
        for change in (
            {"system": "Sort by {{ criterion }}!"},
            {"user": "{{ caption }} "},
            {"system": "", "user": "Sort by {{ criterion }}.{{ caption }}"},
        )
    ]
    assert len({digest, *others}) == 4


def test_the_image_goes_with_the_request():
    sample = Sample("a", Path("truth/cat.png"), "f00d", (1, 1))
    request = load("caption").render(sample, criterion="mood")
    assert (request.image, request.image_sha256) == (sample.file, "f00d")
    assert "truth" not in request.system + request.user
    request = load("caption").render(criterion="mood")
    assert (request.image, request.image_sha256) == (None, "")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"user": "{{ captoin }}"}, "uses undeclared variables ['captoin']; make 'variables' list"),
        ({"user": "{% if x %}{{ caption }}{% endif %}"}, "uses undeclared variables ['x']"),
        ({"user": "Say it."}, "never uses ['caption']; make 'variables' list"),
        ({"variables": []}, "uses undeclared variables ['caption', 'criterion']"),
        ({"colour": "red"}, "field 'colour': Extra inputs are not permitted"),
        ({"user": None}, "field 'user': Field required"),
        ({"version": None}, "field 'version': Field required"),
        ({"version": 0}, "field 'version': Input should be greater than or equal to 1"),
        ({"version": "one"}, "field 'version': Input should be a valid integer"),
        ({"variables": "caption"}, "field 'variables': Input should be a valid tuple"),
        ({"user": ""}, "field 'user': String should have at least 1 character"),
        ({"user": "{{ caption"}, "is no Jinja template ("),
        ({"user": "{% for %}{{ caption }}"}, "is no Jinja template ("),
        ({"user": "{{ caption | shout }}"}, "is no Jinja template (No filter named 'shout'.)"),
        ({"name": "lable"}, "has the name 'lable'; write: name: label"),
    ],
)
def test_a_bad_template(tmp_path, changes, line):
    folder = own(tmp_path / "mine", **changes)
    for look in (lambda: load("label", folder), lambda: check_folder(folder)):
        with complains(f"{folder / 'label.yaml'}: ", line):
            look()


@pytest.mark.parametrize(
    "text", ["name: [", "", "- name", "name", "version: 2024-13-45", "1: 2", "x: !!python/none"]
)
def test_a_template_that_is_no_yaml_mapping(tmp_path, text):
    (tmp_path / "label.yaml").write_text(text)
    with complains("label.yaml: cannot be read (", "mend the YAML"):
        load("label", tmp_path)


def test_a_template_that_cannot_be_read(tmp_path):
    (tmp_path / "label.yaml").write_bytes("description: Käse".encode("latin-1"))
    with complains("label.yaml: cannot be read ("):
        load("label", tmp_path)


def test_a_byte_order_mark(tmp_path):
    file = own(tmp_path / "mine") / "label.yaml"
    file.write_text("\ufeff" + file.read_text("utf-8"), "utf-8")
    assert load("label", file.parent).user == "{{ caption }}"


def test_an_unknown_template():
    with complains("lable: unknown template; did you mean 'label'? available: apart, "):
        load("lable")


def test_values_that_do_not_fit():
    template = load("label")
    with complains("label: values do not fit the variables ['caption']", "pass each one"):
        template.render(criterion="mood")
    with complains("label: values do not fit the variables ['mood']"):
        template.render(criterion="mood", caption="A cat.", mood="calm")


@pytest.mark.parametrize(
    "user", ["{{ caption.colour }}", "{{ caption + 1 }}", "{{ caption.__class__.__mro__ }}"]
)
def test_a_text_that_cannot_be_rendered(tmp_path, user):
    template = load("label", own(tmp_path / "mine", user=user))
    with complains("label: cannot be rendered (", "mend the template"):
        template.render(criterion="mood", caption="A cat.")


def test_a_template_is_data_and_runs_nothing(tmp_path):
    """A template of a stranger reaches neither Python nor the machine."""
    marks = tmp_path / "made"
    user = (
        "{{ caption }}{{ criterion.__init__.__globals__['__builtins__']"
        f".open('{marks}', 'w') }}}}"
    )
    template = load("label", own(tmp_path / "mine", user=user))
    with complains("label: cannot be rendered ("):
        template.render(criterion=Template, caption="A cat.")
    assert not marks.exists()


# folders


def test_a_folder_that_overrides_nothing(tmp_path):
    with complains(f"{tmp_path}/no: is not a folder; pass a folder of templates to --prompts"):
        check_folder(tmp_path / "no")
    with complains(f"{tmp_path}: holds no template; copy one from"):
        check_folder(tmp_path)
    file = own(tmp_path / "mine") / "label.yaml"
    with complains("is not a folder"):
        check_folder(file)
    file.rename(file.with_name("lable.yaml"))
    with complains("lable: unknown template; did you mean 'label'?"):
        check_folder(file.parent)


def test_another_suffix_is_not_passed_over(tmp_path):
    file = own(tmp_path / "mine") / "label.yaml"
    file.rename(file.with_suffix(".yml"))
    with complains("label.yml: is not read; call it label.yaml"):
        check_folder(file.parent)


def test_a_folder_that_is_gone_is_not_replaced_by_ours(tmp_path):
    with complains("gone: is not a folder"):
        load("label", tmp_path / "gone")
