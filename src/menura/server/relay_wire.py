"""In which format a relay speaks with its provider."""

from collections.abc import Mapping
from typing import Any

from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat, StreamFormat
from menura.protocol.realtime_beta import to_ga
from menura.protocol.realtime_memory import merge
from menura.server.relay_engine import RelayEngine
from menura.server.relay_options import RelayOptions

__all__ = ["make_engine", "wire_session"]

WIRE: Mapping[AudioFormat, tuple[str, int]] = {
    AudioFormat.PCM16: ("audio/pcm", 24_000),
    AudioFormat.G711_ULAW: ("audio/pcmu", 8000),
    AudioFormat.G711_ALAW: ("audio/pcma", 8000),
}


def make_engine(client: StreamFormat, options: RelayOptions, *, plain: bool) -> RelayEngine:
    """An engine between a client's format and what the provider gets.

    Args:
        client: Format of the client's audio.
        options: Of the relay.
        plain: Whether no voice is between them, so that a telephone's audio may pass as it is.
    """
    telephone = client.encoding in WIRE and client.rate == WIRE[client.encoding][1]
    passes = plain and telephone and options.g711_passthrough
    encoding = client.encoding if passes else AudioFormat.PCM16
    config = AudioConfig(sample_rate=WIRE[encoding][1], format=encoding, chunk_duration_ms=20)
    return RelayEngine(options.mode, config, source=client)


def wire_session(session: Mapping[str, Any] | None, wire: StreamFormat) -> dict[str, Any]:
    """The session's settings, with the formats that the relay converts to."""
    event, _ = to_ga({"type": "session.update", "session": dict(session or {})})
    name = WIRE[wire.encoding][0]
    form = {"type": name, "rate": 24_000} if wire.encoding is AudioFormat.PCM16 else {"type": name}
    return merge(event["session"], {"audio": {"input": {"format": form}, "output": {"format": form}}})
