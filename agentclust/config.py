"""The settings of a run: checked once, frozen, and written into run.json."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from agentclust.errors import InputError
from agentclust.plugins import unknown

# a run goes on from whatever folder it is resumed in
AbsolutePath = Annotated[Path, AfterValidator(Path.absolute)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _can_be_written(cls, value: Any) -> Any:
        try:
            str(value).encode()
        except UnicodeEncodeError:
            raise ValueError("is not UTF-8 text; write it in UTF-8") from None
        return value


class ModelConfig(_Settings):
    """One model and how to run it. Settings that its backend does not know are ignored by it."""

    model: str = Field(description="PROVIDER:NAME, a name from `models list`, or module:Class")
    temperature: float = Field(0.0, ge=0, le=2)
    # an endpoint
    base_url: str | None = Field(None, description="an OpenAI-compatible endpoint")
    api_key_env: str = Field("OPENAI_API_KEY", description="variable that holds the key")
    concurrency: int = Field(8, ge=1, le=512, description="requests side by side")
    timeout: float = Field(60.0, gt=0, description="seconds a request may take")
    max_retries: int = Field(5, ge=0, description="after 429, 5xx, time-outs, lost connections")
    image_edge: int = Field(512, ge=32, description="longest side of images sent, pixels")
    # in process
    mmproj: AbsolutePath | None = Field(None, description="vision projector of a LLaVA-style GGUF")
    n_ctx: int = Field(4096, ge=256, description="context window, tokens")
    n_gpu_layers: int = Field(-1, ge=-1, description="GGUF layers on the GPU, -1 for all")
    n_threads: int | None = Field(None, ge=1, description="CPU threads, default all cores")
    device_map: str = Field("auto", description="transformers: where layers go")
    load_in_4bit: bool = Field(False, description="transformers: bitsandbytes NF4 weights")
    batch_size: int = Field(8, ge=1, description="transformers: samples a forward pass")
    # money
    prompt_price: float | None = Field(None, ge=0, description="US$ a million tokens read")
    completion_price: float | None = Field(None, ge=0, description="US$ a million tokens written")


class RunConfig(_Settings):
    """Everything that decides the outcome of a run."""

    dataset: str
    criterion: str
    n_clusters: int | Literal["auto"] = "auto"
    method: str = "agent"
    mode: Literal["default", "paper"] = "default"
    vlm: ModelConfig = ModelConfig(model="builtin")
    llm: ModelConfig
    seed: int = Field(0, ge=0, lt=2**31)
    max_calls: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    max_seconds: float | None = Field(None, gt=0)
    embedder: str | None = Field(None, description="of images or captions, instead of the default")
    embeddings: AbsolutePath | None = Field(
        None, description="what `agentclust embed --out` made, instead of embedding"
    )
    clusterer: str = Field(
        "consensus", description="agent: what a fallback clusters embeddings with"
    )
    clusterer_settings: dict[str, bool | int | float | str | None] = Field(
        {}, description="of the method or the fallback, one by one: clusterer.beta=0.6"
    )
    finetune: int = Field(
        0, ge=0, description="method=scan: epochs in which the images' network learns too, at most"
    )
    finetune_blocks: Annotated[int, Field(ge=1)] | Literal["all"] = Field(
        1, description="how many of the network's last blocks learn, or all of it"
    )
    vlm_answers: Literal["caption", "label"] = Field(
        "caption", description="a model that sees: describe each image, or name its label outright"
    )
    captioned: Literal["all"] | Annotated[int, Field(ge=2)] = Field(
        "all", description="images looked at; the others go where their nearest neighbours went"
    )
    exemplars: Literal["auto", "all"] | Annotated[int, Field(ge=2)] = Field(
        "auto", description="captions the language model is asked about; the rest by likeness"
    )
    grouping: Literal["likeness", "names"] = Field(
        "likeness", description="find groups first and name them, or name first and then assign"
    )
    focus: bool = Field(
        True, description="weigh the words of captions by how near the criterion is"
    )
    kinds: bool = Field(
        True, description="compare labels by the kind the model has in mind, where it tells"
    )
    max_rounds: int = Field(4, ge=0, description="agent: attempts to mend the result")
    prompts: AbsolutePath | None = Field(None, description="folder whose templates replace ours")
    cache: bool = Field(True, description="look up answers that were paid for before")
    paper_min_count: int = Field(
        15, ge=0, description="mode=paper: raw labels seen at most this often are dropped"
    )

    @model_validator(mode="before")
    @classmethod
    def _published_procedure_is_a_straight_line(cls, values: Any) -> Any:
        if values.get("mode") == "paper" and values.get("method", "agent") == "agent":
            return {**values, "method": "ictc"}
        return values

    @model_validator(mode="after")
    def _labels_are_seen_by_a_model(self) -> RunConfig:
        if self.mode == "paper" and self.vlm_answers == "label":
            raise ValueError("mode=paper begins with captions; leave vlm_answers=label out")
        if self.vlm.model in ("builtin", "none") and self.vlm_answers == "label":
            raise ValueError(
                f"vlm={self.vlm.model} names no label; name a model that sees: --vlm M"
            )
        return self

    @field_validator("vlm", "llm", mode="before")
    @classmethod
    def _model_by_name(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @field_validator("criterion")
    @classmethod
    def _criterion_says_something(cls, value: str) -> str:
        value = " ".join(value.split())
        value = "".join(char for char in value if unicodedata.category(char) != "Cc")
        if not any(char.isalnum() for char in value):
            why = "holds no word" if value else "is empty"
            raise ValueError(f"{why}; say in plain words what to group by, for example 'mood'")
        if len(value) > 500:
            raise ValueError("is longer than 500 characters; say it in a sentence")
        return value

    @field_validator("n_clusters")
    @classmethod
    def _at_least_two(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 2:
            raise ValueError("is less than 2; ask for at least 2 clusters, or 'auto'")
        return value


def make_config(
    values: Mapping[str, Any], settings: Sequence[str] = (), file: Path | None = None
) -> RunConfig:
    """A config from a YAML file, overridden by ``key=value`` settings and by `values`.

    A key of `ModelConfig` alone (``base_url=…``) sets it for both models; ``llm.base_url=…`` for
    one.

    Raises:
        InputError: A file that cannot be read, an unknown key, or a value that does not fit.
    """
    merged: dict[str, Any] = {}
    given = _read_yaml(file) if file else {}
    # what holds for both models first, so that a setting of one model stands
    for key in sorted(given, key=lambda key: key in RunConfig.model_fields):
        _put(merged, key, given[key])
    for key, value in values.items():
        _put(merged, key, value)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            todo = "write for example --set mode=paper"
            raise InputError(f"--set {setting}".strip(), "is not KEY=VALUE", todo)
        _put(merged, key.strip(), _value(setting, text))
    merged["vlm"] = {"model": "builtin"} | merged.get("vlm", {})
    try:
        return RunConfig(**merged)
    except ValidationError as error:
        raise _first_problem(error) from None


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text("utf-8-sig")) or {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(
            file, f"cannot be read ({error})", "give a YAML file of settings"
        ) from None
    if not isinstance(values, dict):
        raise InputError(file, "is not a YAML mapping", "write one 'key: value' a line")
    return {str(key): value for key, value in values.items()}


def _value(setting: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError):
        todo = "put quotation marks around the value"
        raise InputError(setting, "its value is no YAML", todo) from None


def _put(merged: dict[str, Any], key: str, value: Any) -> None:
    """Set a plain, dotted or shared key in the nested mapping."""
    head, _, rest = key.partition(".")
    if head in ("vlm", "llm"):
        fields = {rest: value} if rest else _fields(value)
        for field in fields:
            if field not in ModelConfig.model_fields:
                raise unknown(f"setting of {head}", str(field), ModelConfig.model_fields)
        merged[head] = merged.get(head, {}) | fields
    elif head == "clusterer" and rest:
        merged["clusterer_settings"] = {**merged.get("clusterer_settings", {}), rest: value}
    elif key in RunConfig.model_fields:
        merged[key] = value
    elif key in ModelConfig.model_fields:
        for model in ("vlm", "llm"):
            _put(merged, f"{model}.{key}", value)
    else:
        known = [*RunConfig.model_fields, *ModelConfig.model_fields]
        raise unknown("setting", key, known)


def _fields(model: Any) -> dict[str, Any]:
    """The settings of a model given by its name, as a mapping, or as a whole config."""
    if isinstance(model, ModelConfig):
        return model.model_dump()
    return dict(model) if isinstance(model, Mapping) else {"model": model}


# what pydantic adds to the name of a field that may be a number or a word
ALTERNATIVES = (
    "int",
    "constrained-int",
    "literal['auto']",
    "literal['all']",
    "literal['auto','all']",
)


def _first_problem(error: ValidationError) -> InputError:
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"] if part not in ALTERNATIVES)
    why = problem["msg"].removeprefix("Value error, ")
    value = problem["input"]
    shown = (
        repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    )
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    if problem["type"] == "missing":
        return InputError(name, "is not given", f"pass --{name.split('.')[0].replace('_', '-')}")
    why, _, todo = why.partition("; ")
    return InputError(f"{name}={shown}", why, todo or "see `agentclust run --help`")


def names_llm(settings: Sequence[str], file: Path | None) -> bool:
    """Whether a language model is named by the settings or the file."""
    keys = {setting.partition("=")[0].strip() for setting in settings}
    keys |= set(_read_yaml(file) if file else ())
    return bool(keys & {"llm", "llm.model"})


def make_model_config(model: str, settings: Sequence[str] = ()) -> ModelConfig:
    """The config of one model alone.

    Raises:
        InputError: An unknown setting, or a value that does not fit.
    """
    return make_config(
        {"dataset": "-", "criterion": "-a", "llm": model}, [f"llm.{text}" for text in settings]
    ).llm
