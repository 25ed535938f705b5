"""Templates as data: loading, checking and rendering the YAML files of ``prompts/``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentclust.errors import InputError
from agentclust.plugins import unknown
from agentclust.types import Request, Sample

FOLDER = Path(__file__).with_name("prompts")


def _keep_fence(value: Any) -> Any:
    """A text that is put into a prompt cannot close the tag it stands in."""
    return value.replace("</", "< /") if isinstance(value, str) else value


# templates are data, a stranger's too: they reach nothing but their variables
JINJA = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=_keep_fence,
)


class Template(BaseModel):
    """One prompt. A text that changes raises its version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int = Field(ge=1)
    description: str
    variables: tuple[str, ...]
    system: str
    user: str = Field(min_length=1)

    @cached_property
    def sha256(self) -> str:
        """Digest of the texts a model sees."""
        return hashlib.sha256(f"{self.system}\0{self.user}".encode()).hexdigest()

    def render(self, sample: Sample | None = None, **values: Any) -> Request:
        """The request for these values, with the image of `sample` where one is given.

        Raises:
            InputError: A declared variable is not given, one given is not declared, or a text
                does what cannot be done with its values.
        """
        if set(values) != set(self.variables):
            wrong = sorted(set(values) ^ set(self.variables))
            raise InputError(self.name, f"values do not fit the variables {wrong}", "pass each one")
        return Request(
            _render(self, self.system, values),
            _render(self, self.user, values),
            sample.file if sample else None,
            sample.sha256 if sample else "",
        )


def load(name: str, folder: Path | None = None) -> Template:
    """The template `name`, from `folder` where it has a file of that name, else ours.

    Raises:
        InputError: No such template, a field that is unknown or missing, or variables that differ
            from the ones the texts use.
    """
    file = file_of(name, folder)
    try:
        template = Template(**yaml.safe_load(file.read_text("utf-8-sig")))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise InputError(file, f"field {where!r}: {problem['msg']}", "see prompts/") from None
    except (OSError, TypeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(file, f"cannot be read ({error})", "mend the YAML") from None
    if template.name != name:
        raise InputError(file, f"has the name {template.name!r}", f"write: name: {name}")
    _check_variables(template, file)
    return template


def file_of(name: str, folder: Path | None = None) -> Path:
    """The file of the template `name`, in `folder` where it has one of that name, else ours.

    Raises:
        InputError: No such template, or no such folder.
    """
    file = FOLDER / f"{name}.yaml"
    if not file.is_file():
        raise unknown("template", name, sorted(f.stem for f in FOLDER.glob("*.yaml")))
    if folder and not folder.is_dir():
        raise InputError(folder, "is not a folder", "pass a folder of templates to --prompts")
    own = folder / file.name if folder else file
    return own if own.is_file() else file


def check_folder(folder: Path) -> None:
    """Check a folder of overriding templates before anything is paid for.

    Raises:
        InputError: It is missing or holds no template, or a file in it overrides nothing or is
            not a template.
    """
    if not folder.is_dir():
        raise InputError(folder, "is not a folder", "pass a folder of templates to --prompts")
    files = sorted(folder.glob("*.y*ml"))
    if not files:
        raise InputError(folder, "holds no template", f"copy one from {FOLDER} and change it")
    for file in files:
        if file.suffix != ".yaml":
            raise InputError(file, "is not read", f"call it {file.stem}.yaml")
        load(file.stem, folder)


def _check_variables(template: Template, file: Path) -> None:
    try:
        used = set[str]()
        for text in (template.system, template.user):
            used |= meta.find_undeclared_variables(JINJA.parse(text))
    except TemplateError as error:
        raise InputError(
            file, f"is no Jinja template ({error.message})", "mend the braces"
        ) from None
    if used != set(template.variables):
        undeclared = sorted(used - set(template.variables))
        unused = sorted(set(template.variables) - used)
        why = f"uses undeclared variables {undeclared}" if undeclared else f"never uses {unused}"
        raise InputError(file, why, "make 'variables' list what the texts use")


def _render(template: Template, text: str, values: Mapping[str, Any]) -> str:
    try:
        return _compiled(text).render(values).strip()
    except Exception as error:  # a template may do anything with its values
        why = f"cannot be rendered ({error})"
        raise InputError(template.name, why, "mend the template") from None


@lru_cache
def _compiled(text: str) -> jinja2.Template:
    return JINJA.from_string(text)
