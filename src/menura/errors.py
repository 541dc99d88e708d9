"""Every error menura raises on purpose: one tree, each class with a stable ``code``.

The second base lets code written from the seed documents, which catches plain Python exceptions, still catch these.
Only the text of a :class:`MenuraError` may reach a peer or a user; whatever else is raised becomes "internal error".
"""

from typing import ClassVar

__all__ = [
    "ConfigError",
    "DeviceError",
    "FileError",
    "FormatError",
    "LimitError",
    "MenuraError",
    "MissingExtraError",
    "ModelError",
    "ProtocolError",
    "StateError",
    "VoiceNotFoundError",
]


class MenuraError(Exception):
    """Base of all errors of menura."""

    code: ClassVar[str] = "error"


class ConfigError(MenuraError, ValueError):
    """A setting has a value it cannot have."""

    code = "invalid_config"


class FormatError(MenuraError, ValueError):
    """Audio is not in the shape, type or encoding it should have."""

    code = "invalid_audio"


class StateError(MenuraError, RuntimeError):
    """The call does not fit the state the object is in."""

    code = "invalid_state"


class DeviceError(MenuraError, OSError):
    """An audio device is missing, busy or lost."""

    code = "device_unavailable"


class FileError(MenuraError, OSError):
    """A file cannot be read or written."""

    code = "file_error"


class MissingExtraError(MenuraError, ImportError):
    """An optional package is not installed."""

    code = "missing_extra"


class ModelError(MenuraError, RuntimeError):
    """A voice's chain or model cannot be built."""

    code = "model_loading_failed"


class VoiceNotFoundError(MenuraError, LookupError):
    """No voice has this id."""

    code = "voice_not_found"


class ProtocolError(MenuraError, ValueError):
    """A message of a peer is malformed."""

    code = "invalid_message"


class LimitError(MenuraError, RuntimeError):
    """A stated limit was reached."""

    code = "limit_reached"
