"""Talk with an AI provider, each in another voice: microphone, VAD, voice, provider, voice, loudspeaker.

    python examples/conversation.py --url wss://host/v1 --voice-up natural-woman --voice-down older-man

The key is taken from OPENAI_API_KEY, for another provider from MENURA_REALTIME_KEY. Ctrl-C ends it.
"""

import argparse
import asyncio
import base64
import json
import os
import sys
from contextlib import suppress
from typing import Any

from menura import (
    AudioCaptureCallbacks,
    AudioCaptureConfig,
    AudioCaptureManager,
    AudioConfig,
    BufferedAudioPlayer,
    MenuraError,
    VADConfig,
    VADType,
    WebSocketRelay,
    list_audio_devices,
)

RATE = 24_000


class Ear:
    """What a capture sends goes to the relay, in order. The capture's thread waits meanwhile: nothing piles up here."""

    def __init__(self, relay: WebSocketRelay, loop: asyncio.AbstractEventLoop) -> None:
        self._relay, self._loop = relay, loop

    def send_event(self, event: dict[str, Any]) -> None:
        asyncio.run_coroutine_threadsafe(self._take(event), self._loop).result(10.0)

    async def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "input_audio_buffer.append":
            await self._relay.handle_client_audio(base64.b64decode(event["audio"]))
        else:
            await self._relay.handle_client_event(event)


class Mouth:
    """Plays what the relay gives, and tells it what was heard."""

    def __init__(self, relay: WebSocketRelay, player: BufferedAudioPlayer) -> None:
        self._relay, self._player, self._item = relay, player, ""

    async def speak(self) -> None:
        """Until the relay ends."""
        async for message in self._relay:
            if isinstance(message, bytes):
                self._player.play(message, self._item)
            else:
                self._follow(json.loads(message))

    def _follow(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "reply":
            self._item = message["itemId"]
            show("answer …")
        elif kind == "replyDone":
            self._player.mark_complete()
        elif kind == "clear":
            self._player.stop()
            show(f"answer ended after {message['playedMs'] / 1000:.1f} s")
        elif kind == "provider":
            show(f"provider {message['state']}")
        elif kind == "error":
            show(f"error: {message.get('error')}")
        elif kind.endswith("transcript.done"):
            show(f"said: {message['transcript']}")

    async def report(self) -> None:
        """Tell the relay the position, so that an answer is cut at what was heard."""
        while True:
            self.tell()
            await asyncio.sleep(0.1)

    def tell(self) -> None:
        """Once."""
        if self._item:
            self._relay.played(self._player.position(self._item).played_ms, self._item)

    def listen(self) -> None:
        """The person speaks: no more of the answer."""
        self.tell()
        self._relay.interrupt("speech")


def show(text: str) -> None:
    """A line about what happens."""
    print(text, flush=True)


async def converse(args: argparse.Namespace) -> bool:
    """Until someone ends it, or the provider fails: then this is False."""
    loop = asyncio.get_running_loop()
    key = os.environ.get("MENURA_REALTIME_KEY") if args.url else os.environ.get("OPENAI_API_KEY")
    relay = WebSocketRelay(
        url=args.url,
        model=args.model,
        api_key=key,
        session={"instructions": args.instructions},
        voice_up=args.voice_up,
        voice_down=args.voice_down,
    )
    player = BufferedAudioPlayer(AudioConfig(sample_rate=RATE), args.output)
    player.set_completion_callback(lambda: show("answer heard to its end"))
    mouth = Mouth(relay, player)

    def heard() -> None:
        show("you speak")
        loop.call_soon_threadsafe(mouth.listen)

    capture = AudioCaptureManager(
        AudioCaptureConfig(
            sample_rate=RATE,
            chunk_size=RATE // 50,
            device=args.input,
            vad_enabled=True,
            vad=VADConfig(type=VADType(args.vad), adaptive=args.vad == VADType.ENERGY_BASED),
        ),
        AudioCaptureCallbacks(
            on_vad_speech_start=heard,
            on_vad_speech_end=lambda: show("you are silent"),
            on_error=lambda error: show(f"microphone: {error}"),
        ),
        Ear(relay, loop),
    )
    async with relay:
        try:
            await asyncio.to_thread(player.start)
            await asyncio.to_thread(capture.initialize)
            await asyncio.to_thread(capture.start_recording)
            show("speak; Ctrl-C ends")
            reporter = asyncio.create_task(mouth.report())
            await asyncio.wait([reporter, asyncio.create_task(mouth.speak())], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await asyncio.to_thread(capture.dispose)
            await asyncio.to_thread(player.close)
    return relay.close_code == 1000


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="of the provider: wss://host/v1; without, OpenAI")
    parser.add_argument("--model", help="without, the provider's own choice", default=None)
    parser.add_argument("--voice-up", help="in which the provider hears you: menura voices")
    parser.add_argument("--voice-down", help="in which you hear it")
    parser.add_argument("--vad", choices=list(map(str, VADType)), default="energy", help="how your speech is found")
    parser.add_argument("--instructions", default="Answer in one or two short sentences.")
    parser.add_argument("-i", "--input", help="microphone, or part of its name")
    parser.add_argument("-o", "--output", help="loudspeaker, or part of its name")
    parser.add_argument("--list-devices", action="store_true")
    args = parser.parse_args()
    if args.list_devices:
        for device in list_audio_devices():
            print(f"{device.index:3}  {device.name}  in {device.inputs}  out {device.outputs}")
        return 0
    try:
        with suppress(KeyboardInterrupt):
            return 0 if asyncio.run(converse(args)) else 1
    except MenuraError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
