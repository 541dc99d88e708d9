"""Audio within items of a conversation: it is the speaker's too."""

import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from menura.audio.format import StreamFormat
from menura.audio.pcm import decode, encode
from menura.dsp.resample import Resampler
from menura.dsp.stage import process_whole
from menura.errors import FormatError, ProtocolError
from menura.live.making import make_stage
from menura.protocol.realtime_audio import decode_audio
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["has_audio", "item_audio", "with_audio"]


def _items(event: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    response = event.get("response")
    among = (response.get("input") if isinstance(response, Mapping) else None) or ()
    return [item for item in (event.get("item"), *among) if isinstance(item, Mapping)]


def _is_audio(part: object) -> bool:
    return isinstance(part, Mapping) and bool(part.get("audio"))


def has_audio(event: Mapping[str, Any]) -> bool:
    """Whether a client's event brings audio in an item.

    >>> has_audio({"item": {"content": [{"type": "input_audio", "audio": "AAAA"}]}})
    True
    """
    return any(
        _is_audio(part) for item in _items(event) if isinstance(item.get("content"), list) for part in item["content"]
    )


def with_audio(event: Mapping[str, Any], change: Callable[[object], str]) -> dict[str, Any]:
    """The event with other audio in its items; it is copied where it is changed."""

    def changed(item: Any) -> Any:
        if not isinstance(item, Mapping) or not isinstance(item.get("content"), list):
            return item
        parts = [part | {"audio": change(part["audio"])} if _is_audio(part) else part for part in item["content"]]
        return dict(item) | {"content": parts}

    out = dict(event)
    if "item" in out:
        out["item"] = changed(out["item"])
    response = out.get("response")
    if isinstance(response, Mapping) and response.get("input"):
        out["response"] = dict(response) | {"input": [changed(item) for item in response["input"]]}
    return out


def item_audio(
    text: object,
    client: StreamFormat,
    wire: StreamFormat,
    voice: Voice | None,
    parameters: VoiceParameters | None = None,
) -> str:
    """The audio of an item as the provider may hear it: all at once, as long as it was.

    Args:
        text: Base64.
        client: What it is.
        wire: What it shall be.
        voice: In which; None leaves it as it is.
        parameters: The voice's settings.

    Raises:
        ProtocolError: It is no audio.
        ModelError: The voice cannot be built.
    """
    try:
        audio = decode_audio(text)
        x = decode(audio, client)
    except FormatError as error:
        raise ProtocolError(f"item.content.audio: {error}") from None
    except ProtocolError as error:
        raise ProtocolError(f"item.content.audio: {str(error).partition(': ')[2]}") from None
    if voice is None and client == wire:
        return str(text)
    y = process_whole(Resampler(client.rate, wire.rate), x)
    if voice is not None:
        y = process_whole(make_stage(voice, wire.rate, parameters=parameters, live=False), y)
    return binascii.b2a_base64(encode(y, wire), newline=False).decode("ascii")
