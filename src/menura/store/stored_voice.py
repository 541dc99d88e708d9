"""A voice as the library keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from menura.store.files import Incoming
from menura.store.voice_data import VoiceData
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["NewFile", "StoredFile", "StoredVoice"]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a voice.

    Attributes:
        role: What for: ``model``, ``index``, ``preview``.
        name: As it was called where it came from.
        sha256: Of what is in it.
        size: Bytes.
        details: What is known of it.
        path: Where it is.
    """

    role: str
    name: str
    sha256: str
    size: int
    details: Mapping[str, Any]
    path: Path


@dataclass(frozen=True, slots=True)
class StoredVoice:
    """A voice of the library.

    Attributes:
        builtin: It came with menura; a change makes a copy.
        version: Grows with each change.
        data: What it is.
        files: By role.
    """

    id: str
    builtin: bool
    favourite: bool
    version: int
    data: VoiceData
    files: Mapping[str, StoredFile]
    created_at: datetime
    updated_at: datetime

    @property
    def voice(self) -> Voice:
        """To build a stage of."""
        return self.data.voice(self.id, {role: str(file.path) for role, file in self.files.items()})

    @property
    def parameters(self) -> VoiceParameters:
        """With which it begins."""
        return VoiceParameters().changed(self.data.parameters)


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file for a voice.

    Attributes:
        incoming: Written, and not yet kept.
        name: As it was called where it came from.
        details: What is known of it.
    """

    incoming: Incoming
    name: str
    details: Mapping[str, Any] = field(default_factory=dict)
