"""A voice as data that comes from outside: checked, then built."""

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from menura.errors import ConfigError, MenuraError, ModelError
from menura.store.files import jsonable
from menura.voices.voice import Category, StageSpec, Voice, VoiceParameters

__all__ = ["StageData", "VoiceData", "fingerprint", "plain", "shown", "within"]

MAX_STAGES = 24
MAX_JSON = 64 * 1024
ROLE = "@"
"""What a stage's parameter begins with where it names a file of the voice: ``@model``, ``@index``."""
PROBE_RATE = 48_000
MODEL, PATHS = "rvc", ("model", "index", "content", "pitch_model")


def plain(text: str) -> str:
    """Text as it is kept and looked for: composed, so that what looks the same is the same."""
    return unicodedata.normalize("NFC", text)


def shown(text: str) -> str:
    """Text of unknown origin, a file's name say, with all that cannot be printed replaced.

    >>> shown("a\\nb")
    'a?b'
    """
    return "".join(character if character.isprintable() else "?" for character in text)


def _printable(text: str) -> str:
    if any(not character.isprintable() for character in text):
        raise ValueError("holds characters that cannot be printed")
    return plain(text)


def within(value: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    """An object that JSON can say in so many bytes.

    Raises:
        ValueError: It cannot.

    >>> within({"a": [1, 2]}, 16)
    {'a': [1, 2]}
    """
    try:
        size = len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise ValueError("is nothing that JSON can say, or nested too deep") from None
    if size > max_bytes:
        raise ValueError(f"is longer than {max_bytes} bytes")
    return value


def _small(params: dict[str, Any]) -> dict[str, Any]:
    return within(params, MAX_JSON)


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(_printable)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), AfterValidator(_printable)]


class StageData(BaseModel):
    """One stage: its kind and its parameters."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    params: Annotated[dict[str, Any], AfterValidator(_small)] = Field(default_factory=dict)


class VoiceData(BaseModel):
    """What a user may say of a voice.

    Attributes:
        name: What people call it.
        category: Custom, unless it copies a built-in one.
        description: One line.
        stages: Its chain, in order.
        parameters: With which it begins: ``pitch_st``, ``formant``, ``mix``.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: Name
    category: Category = Category.CUSTOM
    description: Text = ""
    stages: Annotated[list[StageData], Field(max_length=MAX_STAGES)] = Field(default_factory=list)
    parameters: dict[str, float] = Field(default_factory=dict)

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Check what came from outside.

        Raises:
            ConfigError: It is no voice; the text names the field.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "voice"
            raise ConfigError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """With these fields.

        Raises:
            ConfigError: It is no voice then; the text names the field.
        """
        if not isinstance(changes, Mapping):
            raise ConfigError("voice: changes are fields and their values")
        return self.parse(self.model_dump(mode="json") | dict(changes))

    @classmethod
    def of(cls, voice: Voice) -> Self:
        """A voice as data."""
        stages = [StageData(kind=spec.kind, params=jsonable(spec.params)) for spec in voice.stages]
        return cls(name=voice.name, category=voice.category, description=voice.description, stages=stages)

    def voice(self, voice_id: str, files: Mapping[str, str]) -> Voice:
        """The voice, with the paths of its files where its stages name them."""
        stages = tuple(StageSpec(stage.kind, _resolve(stage.params, files)) for stage in self.stages)
        return Voice(voice_id, self.name, self.category, self.description, stages)

    def check(self, files: Mapping[str, str]) -> None:
        """See that it can be built.

        Raises:
            ConfigError, ModelError: It cannot; the text says which stage or parameter.
        """
        from menura.voices.build import KINDS, make_stage  # with all of signal processing, which readers need not

        VoiceParameters().changed(self.parameters)
        if sum(stage.kind == MODEL for stage in self.stages) > 1:
            raise ModelError("a voice has one model at most")
        for stage in self.stages:
            if stage.kind not in KINDS:
                raise ModelError(f"unknown kind of stage {stage.kind!r}; there are {', '.join(sorted(KINDS))}")
        missing = sorted(set(self.roles) - set(files))
        if missing:
            raise ModelError(f"the voice names a file that it does not have: {ROLE}{missing[0]}")
        probe = self.voice("probe", files)
        plain = tuple(spec for spec in probe.stages if spec.kind != MODEL)
        try:
            make_stage(replace(probe, stages=plain), PROBE_RATE)
            for spec in probe.stages:
                if spec.kind == MODEL:
                    self._check_model(spec)
        except MenuraError:
            raise
        except Exception as error:  # a stage's own arithmetic, on values nobody thought of
            raise ModelError(f"the voice cannot be built: {error}") from error

    def _check_model(self, spec: StageSpec) -> None:
        """A model is not loaded for this; it may only be one of the voice's own files."""
        from menura.voices.rvc import check_rvc

        data = next(stage for stage in self.stages if stage.kind == MODEL)
        for name in PATHS:
            value = data.params.get(name)
            if value != ROLE + name and (value is not None or name == "model"):
                raise ModelError(f"stage {MODEL!r}: {name} must be a file of the voice, {ROLE}{name}")
        try:
            check_rvc(**spec.params)
        except TypeError as error:
            raise ModelError(f"stage {MODEL!r}: {error}") from error

    @property
    def roles(self) -> list[str]:
        """Of the files that its stages name."""
        texts = [value for stage in self.stages for value in stage.params.values() if isinstance(value, str)]
        return [text.removeprefix(ROLE) for text in texts if text.startswith(ROLE)]


def _resolve(params: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: files.get(value.removeprefix(ROLE), value) if isinstance(value, str) and value.startswith(ROLE) else value
        for name, value in params.items()
    }


def fingerprint(data: VoiceData) -> str:
    """Changes when the voice does.

    >>> len(fingerprint(VoiceData(name="x")))
    64
    """
    return hashlib.sha256(json.dumps(data.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
