"""A session's settings as a client of the Realtime API chose them and is shown them."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat, StreamFormat
from menura.engine.config import ProcessingMode
from menura.protocol.realtime_memory import merge
from menura.server.realtime_voices import FIELD
from menura.server.realtime_words import new_id, whole
from menura.server.relay_engine import RelayEngine

__all__ = ["FORMATS", "PCM", "SessionView", "Update", "asked_format", "described", "make_engine", "with_format"]

PCM = StreamFormat(AudioFormat.PCM16, 24_000)
FORMATS: Mapping[str, StreamFormat] = {
    "audio/pcm": PCM,
    "audio/pcmu": StreamFormat(AudioFormat.G711_ULAW, 8000),
    "audio/pcma": StreamFormat(AudioFormat.G711_ALAW, 8000),
}
"""All there are: 24 kHz PCM16, and G.711 of a telephone; mono."""
_NAMES = {form: name for name, form in FORMATS.items()}


def described(form: StreamFormat) -> dict[str, Any]:
    """A format as events name it.

    >>> described(PCM), described(FORMATS["audio/pcmu"])
    ({'type': 'audio/pcm', 'rate': 24000}, {'type': 'audio/pcmu'})
    """
    return {"type": "audio/pcm", "rate": 24_000} if form == PCM else {"type": _NAMES[form]}


def asked_format(session: Mapping[str, Any], direction: str) -> StreamFormat | None:
    """The format that checked settings name for ``input`` or ``output``, if they do."""
    at: Any = session
    for name in ("audio", direction, "format", "type"):
        at = at.get(name) if isinstance(at, Mapping) else None
    return FORMATS.get(at) if isinstance(at, str) else None


def with_format(session: Mapping[str, Any], direction: str, form: StreamFormat) -> dict[str, Any]:
    """The settings with another format."""
    return merge(session, {"audio": {direction: {"format": described(form)}}})


def _is_choice(value: object) -> bool:
    if isinstance(value, Mapping):
        return value.get("type") == "function" and isinstance(value.get("name"), str)
    return value in ("none", "auto", "required") if isinstance(value, str) else value is None


def _are_tools(value: object) -> bool:
    texts = ("name", "description")
    return value is None or (
        isinstance(value, list)
        and all(isinstance(tool, Mapping) and all(_is_text(tool.get(name)) for name in texts) for tool in value)
    )


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


_ECHOED: Mapping[str, Callable[[object], bool]] = {"tool_choice": _is_choice, "tools": _are_tools}
"""Settings that the provider judges, of which one that judges little may take what is none."""
_SHOWN = frozenset({"audio", "instructions", "max_output_tokens", "output_modalities", *_ECHOED})


def make_engine(mode: ProcessingMode, client: StreamFormat, wire: StreamFormat) -> RelayEngine:
    """An engine that takes the client's audio and gives the provider's."""
    config = AudioConfig(sample_rate=wire.rate, format=wire.encoding, chunk_duration_ms=20)
    return RelayEngine(mode, config, source=client)


@dataclass(frozen=True, slots=True)
class Update:
    """A client's ``session.update``.

    Attributes:
        session: Settings, without what is not for clients.
        input: Format of the client's audio from then on.
        output: Format of answers from then on.
        wire: As the provider sends them from then on.
        before: What the client's audio was before it.
    """

    session: Mapping[str, Any]
    input: StreamFormat
    output: StreamFormat
    wire: StreamFormat
    before: StreamFormat


class SessionView:
    """The session as the client sees it: one, with its own formats, however many the provider makes of it.

    Of the operator's settings it sees audio and modalities; what it set itself it sees as it set it.
    """

    def __init__(self) -> None:
        self.id = ""
        self.created = False
        self.input = self.output = PCM
        self._provider: Mapping[str, Any] = {}
        self._own: dict[str, Any] = {}
        self._pending: OrderedDict[str, Update] = OrderedDict()
        self._renewed = False
        self.voices: Mapping[str, Any] = {}  # once the client has chosen others

    def asked(self, event_id: str, update: Update) -> None:
        """The client changes settings."""
        self._pending[event_id] = update

    def refused(self, event_id: str | None) -> Update | None:
        """The provider does not; the update that it refuses, if there is one."""
        return self._pending.pop(event_id, None) if event_id is not None else None

    def renew(self) -> None:
        """Another session of the provider has just been told all settings at once."""
        self._renewed = True

    @property
    def pending(self) -> int:
        """Updates that the provider has not confirmed."""
        return len(self._pending)

    @property
    def latest_output(self) -> StreamFormat:
        """The format of answers once all is done that the client asked for."""
        return next(reversed(self._pending.values())).output if self._pending else self.output

    @property
    def interrupts(self) -> bool:
        """Whether speech ends answers: settings may say that it does not."""
        at: Any = self._provider
        for name in ("audio", "input", "turn_detection"):
            at = at.get(name) if isinstance(at, Mapping) else None
        return not (isinstance(at, Mapping) and at.get("interrupt_response") is False)

    def see(self, session: Mapping[str, Any]) -> None:
        """The provider's settings, as far as a client may see them."""
        self._provider = session
        self.id = self.id or str(session.get("id") or new_id("sess"))

    def confirmed(self) -> list[Update]:
        """The provider confirms settings: the updates that this settles, the oldest first."""
        if self._renewed or not self.created:
            self._renewed = False
            done = list(self._pending.values())
            self._pending.clear()
        else:
            done = [self._pending.popitem(last=False)[1]] if self._pending else []
        return done

    def apply(self, update: Update) -> None:
        """It holds from now on."""
        self._own = merge(self._own, update.session)
        self.input, self.output = update.input, update.output

    def event(self, kind: str) -> dict[str, Any]:
        """``session.created`` or ``session.updated``, as it is now."""
        own = {name: value for name, value in self._own.items() if name not in _ECHOED or _ECHOED[name](value)}
        session = merge({name: own[name] for name in own if name in _SHOWN}, self._provider)
        session = with_format(with_format(session, "input", self.input), "output", self.output)
        head: dict[str, Any] = {"type": "realtime", "object": "realtime.session", "id": self.id or new_id("sess")}
        if self.voices:
            head[FIELD] = dict(self.voices)
        self.created = True
        return whole({"type": kind, "session": head | {k: v for k, v in session.items() if k not in head}})
