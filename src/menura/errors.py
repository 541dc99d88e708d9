"""Every error menura raises on purpose: one tree, each class with a stable ``code``.

The second base lets code that catches plain Python exceptions catch these too.
Only the text of a :class:`MenuraError` may reach a peer or a user; whatever else is raised becomes "internal error".
"""

import os
import re
from typing import ClassVar

__all__ = [
    "AuthenticationError",
    "ChannelClosedError",
    "ConfigError",
    "ConnectTimeoutError",
    "ConnectionLostError",
    "DamagedModelError",
    "DeviceError",
    "DiskFullError",
    "DownloadError",
    "FileError",
    "ForbiddenError",
    "FormatError",
    "LibraryError",
    "LimitError",
    "MenuraError",
    "MissingExtraError",
    "ModelError",
    "NotFoundError",
    "ProtocolError",
    "ProviderError",
    "QuotaError",
    "RateLimitError",
    "ResponseTimeoutError",
    "SlowSubscriberError",
    "StateError",
    "UnsafeModelError",
    "UnsupportedModelError",
    "VersionError",
    "VoiceNotFoundError",
    "WaitTimeoutError",
    "public_text",
    "reason_of",
]


class MenuraError(Exception):
    """Base of all errors of menura."""

    code: ClassVar[str] = "error"


class ConfigError(MenuraError, ValueError):
    """A setting has a value it cannot have."""

    code = "invalid_config"


class ForbiddenError(MenuraError, PermissionError):
    """Whoever asks may not do that."""

    code = "forbidden"


class FormatError(MenuraError, ValueError):
    """Audio is not in the shape, type or encoding it should have."""

    code = "invalid_audio"


class StateError(MenuraError, RuntimeError):
    """The call does not fit the state the object is in."""

    code = "invalid_state"


class ChannelClosedError(StateError):
    """The channel, or the subscription, was closed."""

    code = "channel_closed"


class DeviceError(MenuraError, OSError):
    """An audio device is missing, busy or lost."""

    code = "device_unavailable"


class DownloadError(MenuraError, OSError):
    """A file cannot be fetched, or is not the one that it should be."""

    code = "download_failed"


class FileError(MenuraError, OSError):
    """A file cannot be read or written."""

    code = "file_error"


class DiskFullError(FileError):
    """There is no room for what is to be kept."""

    code = "disk_full"


class LibraryError(MenuraError, RuntimeError):
    """The library of voices cannot be read or written, or cannot do that."""

    code = "library_error"


class MissingExtraError(MenuraError, ImportError):
    """An optional package is not installed."""

    code = "missing_extra"


class ModelError(MenuraError, RuntimeError):
    """A voice's chain or model cannot be built."""

    code = "model_loading_failed"


class UnsafeModelError(ModelError):
    """A model file asks for code to be run, or is built to exhaust or mislead its reader. Nothing was run."""

    code = "model_unsafe"


class DamagedModelError(ModelError):
    """A model file is cut short, or its parts contradict each other."""

    code = "model_damaged"


class UnsupportedModelError(ModelError):
    """A model file is sound, but of a kind that is not wanted here; the text says what it is."""

    code = "model_unsupported"


class NotFoundError(MenuraError, LookupError):
    """There is nothing of this name or id."""

    code = "not_found"


class VersionError(MenuraError, RuntimeError):
    """Somebody has changed it meanwhile."""

    code = "version_conflict"


class VoiceNotFoundError(MenuraError, LookupError):
    """No voice has this id."""

    code = "voice_not_found"


class ProtocolError(MenuraError, ValueError):
    """A message of a peer is malformed."""

    code = "invalid_message"


class LimitError(MenuraError, RuntimeError):
    """A stated limit was reached."""

    code = "limit_reached"


class RateLimitError(LimitError):
    """Something is asked for too often, or by too many; the same may be granted later.

    Attributes:
        retry_after_ms: When to ask again.
    """

    code = "rate_limited"

    def __init__(self, text: str, *, retry_after_ms: int = 1000) -> None:
        super().__init__(text)
        self.retry_after_ms = retry_after_ms


class WaitTimeoutError(MenuraError, TimeoutError):
    """What was waited for did not come in time."""

    code = "timeout"


class ResponseTimeoutError(WaitTimeoutError):
    """A provider is connected, and does not answer what it was asked."""

    code = "response_timeout"


class SlowSubscriberError(LimitError):
    """A subscriber did not read fast enough.

    Attributes:
        lost: Items that it will not get.
    """

    code = "slow_subscriber"

    def __init__(self, text: str, *, lost: int = 0) -> None:
        super().__init__(text)
        self.lost = lost


class ConnectionLostError(MenuraError, ConnectionError):
    """A connection to a provider ended, or could not be made."""

    code = "connection_lost"


class ConnectTimeoutError(ConnectionLostError, TimeoutError):
    """A provider did not answer in time."""

    code = "connect_timeout"


class ProviderError(MenuraError, RuntimeError):
    """A provider refused something.

    Attributes:
        provider_code: The provider's own name of the error, or "".
        event_id: Of the event it refused, or "".
        event_type: Type of that event, where it is known.
    """

    code = "provider_error"

    def __init__(self, text: str, *, provider_code: str = "", event_id: str = "", event_type: str = "") -> None:
        super().__init__(text)
        self.provider_code, self.event_id, self.event_type = provider_code, event_id, event_type


class AuthenticationError(ProviderError):
    """A provider does not accept the key, or not for this."""

    code = "authentication_failed"


class QuotaError(ProviderError):
    """The account has no more quota or credit: another try does not help."""

    code = "quota_exhausted"


def reason_of(error: BaseException) -> str:
    """Why a system's call failed, in the system's words; those that a library puts in their place name its functions.

    >>> import errno
    >>> reason_of(ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 4222)"))
    'Connection refused'
    >>> reason_of(OSError(-2, "Name or service not known"))
    'Name or service not known'
    >>> reason_of(TimeoutError())
    'TimeoutError'
    """
    said = ""
    if (
        isinstance(error, OSError) and error.errno
    ):  # those of looking up a name are below 0, and have words of their own
        said = os.strerror(error.errno) if error.errno > 0 else str(error.strerror or "")
    return said or str(error) or type(error).__name__


_ADDRESS = re.compile(r"\b(?:sqlite|postgres(?:ql)?)(?:\+\w+)?://[^\s'\",;]*[^\s'\",;:.]")
_FOLDER = re.compile(r"(?<![\w:/.])(?:~|[A-Za-z]:)?[/\\](?!api/|v1/|ws/)(?:[^\s/\\'\":;,()]+[/\\])+")


def public_text(error: MenuraError) -> str:
    """An error as somebody may read it who is not at this machine: without folders, and without a database's words.

    >>> public_text(FileError("cannot read /home/jo/.local/voice.onnx: No such file; see /api/ready"))
    'cannot read voice.onnx: No such file; see /api/ready'
    """
    text, cause = str(error), error.__cause__
    if cause is not None and type(cause).__module__.partition(".")[0] in ("sqlalchemy", "sqlite3", "psycopg"):
        text = text.partition(": ")[0]
    return _FOLDER.sub("", _ADDRESS.sub("…", text))
