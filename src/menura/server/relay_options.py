"""Settings of a relay."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from menura.client.connection import MODEL
from menura.client.options import Backlog, ConnectionOptions
from menura.client.target import Key, Target
from menura.engine.config import ProcessingMode
from menura.errors import ConfigError
from menura.protocol.realtime_beta import to_ga
from menura.protocol.realtime_client import check_client_event
from menura.protocol.realtime_turn import TurnLimits
from menura.vad.config import VADConfig

__all__ = ["BargeIn", "Pace", "RelayOptions", "RelaySettings", "Upload"]


class Pace(StrEnum):
    """When a client is sent an answer's audio: as it is heard, or as it comes."""

    PACED = "paced"
    AT_ONCE = "at_once"


class Upload(StrEnum):
    """What of a client's audio goes to the provider: all of it, or only what our voice detection finds is speech."""

    ALL = "all"
    SPEECH = "speech"


class BargeIn(StrEnum):
    """Whose word it is that the person speaks, which stops an answer: the provider's, our voice detection's, either."""

    PROVIDER = "provider"
    VAD = "vad"
    BOTH = "both"
    OFF = "off"


def _connection_options() -> ConnectionOptions:
    """Of a live conversation: old audio is worth little, and a person does not wait for long."""
    return ConnectionOptions(
        turn=TurnLimits(max_age_s=10.0),
        start_timeout_s=15.0,
        max_attempts=6,
        give_up_s=30.0,
        backoff_cap_s=5.0,
        open_timeout_s=5.0,
        restore_timeout_s=5.0,
        ping_interval_s=5.0,
        ping_timeout_s=5.0,
        max_events=1024,
        max_event_bytes=16 * 1024 * 1024,
        backlog=Backlog.BLOCK,
    )


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """How a relay behaves.

    Attributes:
        mode: What the engine does to the client's audio.
        vad: Of our voice detection; None for none, unless ``barge_in`` or ``upload`` needs it.
        barge_in: Who finds that the person speaks while an answer is heard.
        upload: ``speech`` sends only speech, from before its onset (``vad.pre_buffer_ms``) until ``hangover_ms`` after
            its end, or until the provider has found its end: silence costs nothing. The provider's times
            (``audio_start_ms``) count what it was sent.
        hangover_ms: See there; long enough for the provider's word that it hears speech.
        pace: ``paced`` sends an answer as it is heard, ``lead_ms`` ahead; ``at_once`` as soon as it comes.
        lead_ms: Audio a client holds against an uneven network.
        g711_passthrough: A telephone's G.711 goes to the provider as it is, where no voice is in between; False turns
            it into 24 kHz PCM16.
        max_pending_ms: Audio of the client that waits to be processed; then the client is made to wait.
        max_reply_ms: Audio of answers that waits to be sent; what a provider sends beyond is dropped and counted.
        max_unread_ms: Audio that waits for a client that does not read; then the oldest is dropped and counted.
        client_stall_s: A client that takes nothing for so long is left.
        connection: With the provider; ``backlog="block"`` there makes it wait for a slow client: no event is lost.

    Raises:
        ConfigError: A setting has a value it cannot have.
    """

    mode: ProcessingMode = ProcessingMode.REALTIME
    vad: VADConfig | None = None
    barge_in: BargeIn = BargeIn.PROVIDER
    upload: Upload = Upload.ALL
    hangover_ms: float = 700.0
    pace: Pace = Pace.PACED
    lead_ms: float = 200.0
    g711_passthrough: bool = True
    max_pending_ms: float = 1000.0
    max_reply_ms: float = 180_000.0
    max_unread_ms: float = 10_000.0
    client_stall_s: float = 10.0
    connection: ConnectionOptions = field(default_factory=_connection_options)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mode", ProcessingMode.of(self.mode))
        for name, kind in (("pace", Pace), ("barge_in", BargeIn), ("upload", Upload)):
            try:
                object.__setattr__(self, name, kind(getattr(self, name)))
            except ValueError:
                raise ConfigError(f"{name} must be one of {', '.join(kind)}, not {getattr(self, name)!r}") from None
        for name in ("hangover_ms", "lead_ms", "max_pending_ms", "max_reply_ms", "max_unread_ms", "client_stall_s"):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name} must be above 0, not {getattr(self, name)}")

    @property
    def watches(self) -> bool:
        """Whether our voice detection runs."""
        return self.vad is not None or self.own_barge_in or self.upload is Upload.SPEECH

    @property
    def own_barge_in(self) -> bool:
        """Whether our voice detection stops an answer."""
        return self.barge_in in (BargeIn.VAD, BargeIn.BOTH)

    @property
    def provider_barge_in(self) -> bool:
        """Whether the provider's does."""
        return self.barge_in in (BargeIn.PROVIDER, BargeIn.BOTH)


@dataclass(frozen=True)
class RelaySettings:
    """What a server's relay speaks to, on the operator's account; no client sees any of it.

    Attributes:
        url: Of the provider: ``wss://host/v1``; None for OpenAI.
        api_key: Sent to it; a function is asked before each connection.
        model: Named in the address; None leaves the provider's own choice.
        session: Settings that each session begins with; a client's own come on top.
        headers: Further ones.
        options: How each relay behaves.
        max_clients: At one time; others are told to come back.
        start_within_s: A client that has not started by then is left.
        voice_up: Id of the voice in which the provider hears a client that names none.
        voice_down: Id of the voice in which a client hears the provider that names none.
        require_voice: No client may speak to the provider in its own voice.
        client_model: Whether a client of the Realtime API chooses the model, by ``?model=``.
        client_tools: Whether it may bring functions of its own.

    Raises:
        ConfigError: There is no such provider, or none is named; or a voice is required, and none is there to be the
            one of clients that name none.
        ProtocolError: ``session`` is malformed.
    """

    url: str | None = None
    api_key: Key | None = field(default=None, repr=False)
    model: str | None = MODEL
    session: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    options: RelayOptions = field(default_factory=RelayOptions)
    max_clients: int = 32
    voice_up: str | None = None
    voice_down: str | None = None
    require_voice: bool = False
    client_model: bool = False
    client_tools: bool = True
    start_within_s: float = 120.0

    def __post_init__(self) -> None:
        Target(self.url, self.model, self.api_key, self.headers or {})
        if not (self.url or self.api_key or self.headers):
            raise ConfigError("a relay needs a provider: pass url, api_key or headers")
        if self.require_voice and not self.voice_up:
            raise ConfigError("a relay that requires a voice needs voice_up: that of clients that name none")
        if self.session is not None:
            check_client_event(to_ga({"type": "session.update", "session": dict(self.session)})[0])

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self | None:
        """As the environment says: ``MENURA_REALTIME_URL`` with ``MENURA_REALTIME_KEY``, or ``OPENAI_API_KEY`` for
        OpenAI; ``MENURA_REALTIME_MODEL``. None where there is neither, or ``MENURA_RELAY`` is ``off``.

        >>> RelaySettings.from_environment({"OPENAI_API_KEY": "sk-secret"}).model
        'gpt-realtime-2.1'
        >>> RelaySettings.from_environment({"OPENAI_API_KEY": "sk-secret", "MENURA_RELAY": "off"}) is None
        True
        """
        url, key = environment.get("MENURA_REALTIME_URL") or None, environment.get("OPENAI_API_KEY") or None
        if environment.get("MENURA_RELAY", "").lower() in ("off", "0", "no", "false") or not (url or key):
            return None
        if url:  # the key of one provider is not for another
            key = environment.get("MENURA_REALTIME_KEY") or None
        return cls(url, key, environment.get("MENURA_REALTIME_MODEL") or MODEL)
