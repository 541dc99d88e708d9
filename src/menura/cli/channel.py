"""``menura channel``: audio to and from channels across machines."""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from menura.channels.files import play_file
from menura.channels.manager import ChannelManager
from menura.channels.patch import Patch
from menura.channels.recording import RecorderStats, record
from menura.channels.sources import microphone, play
from menura.channels.streaming import Streams
from menura.channels.voice import ChannelVoice
from menura.channels.voice_orders import obey
from menura.cli.interrupt import until_interrupted
from menura.cli.quiet import quiet_libraries
from menura.errors import ConfigError, ConnectionLostError, FileError
from menura.log import get_logger
from menura.store.lookup import look_up
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["ask_for", "change_voice", "listen", "play_to_channel", "record_channel", "speak_to_channel"]

MAX_QUEUE = 256
MAX_FILL_S = 0.2
PREBUFFER_MS = 200.0
"""A network and a busy machine may be as late as this."""


def _until_told(run: Callable[[threading.Event], Coroutine[Any, Any, None]]) -> None:
    """Run something that ends by itself, or soon after its event is set by Ctrl-C."""
    with until_interrupted() as ended, _broker():
        try:
            asyncio.run(run(ended))
        finally:
            ended.set()


@contextmanager
def _broker() -> Iterator[None]:
    try:
        yield
    except ConnectionLostError as error:
        raise ConnectionLostError(f"{error}; is nats-server running there? --url names another") from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _run(url: str, wire: Callable[[Patch], None], says: str = "") -> None:
    """Run the parts until they end, or are told to: then what is queued runs through. Say so when they have begun."""

    get_logger("menura.channels.patch").setLevel(logging.ERROR)  # what it warns of is the command's own error

    async def run(ended: threading.Event) -> None:
        async with ChannelManager(url) as channels:
            patch = Patch(channels, policy="drop_oldest", max_queue=MAX_QUEUE)
            wire(patch)
            await patch.start()
            if says:
                _say(f"{says}; Ctrl-C ends")
            done = asyncio.create_task(patch.wait())
            told = asyncio.create_task(asyncio.to_thread(ended.wait))
            await asyncio.wait({done, told}, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                await asyncio.wait({asyncio.create_task(patch.stop())})
            ended.set()
            await told
            await done

    _until_told(run)


def record_channel(url: str, name: str, target: Path) -> None:
    """Write a channel to a file until it is closed, or Ctrl-C.

    Raises:
        FileError: The file cannot be written.
        ConnectionLostError: The broker cannot be reached.
    """
    if not target.parent.is_dir():
        raise FileError(f"{target.parent}: no such folder")
    stats = RecorderStats()

    async def keep(streams: Streams) -> None:
        nonlocal stats
        stats = await record(streams, target)

    _run(url, lambda patch: patch.consume(name, keep), f"listening to {name}")
    if not stats.frames:
        print(f"nothing came on {name}: {target} was not written", file=sys.stderr)
        return
    missing = f"; {stats.filled_s:.1f} s were missing" if stats.filled else ""
    print(f"{target}: {stats.seconds:.1f} s{missing}", file=sys.stderr)


def play_to_channel(url: str, source: Path, name: str, *, loop: bool = False, pace: float | None = 1.0) -> None:
    """Read a file into a channel, and close it at the end.

    Raises:
        FileError: The file cannot be read.
        ConnectionLostError: The broker cannot be reached.
    """
    _run(url, lambda patch: patch.source(play_file(source, pace=pace, loop=loop, chunk_s=0.02), to=name))


def listen(url: str, name: str, device: str | int | None = None) -> None:
    """Hear a channel on a loudspeaker until it is closed, or Ctrl-C.

    Raises:
        DeviceError: There is no such loudspeaker.
        ConnectionLostError: The broker cannot be reached.
    """
    quiet_libraries()
    _run(
        url,
        lambda patch: patch.consume(name, lambda streams: play(streams, device, prebuffer_ms=PREBUFFER_MS)),
        f"listening to {name}",
    )


def speak_to_channel(url: str, name: str, device: str | int | None = None, *, rate: int = 48_000) -> None:
    """Say into a channel what a microphone hears, until Ctrl-C; then it is closed.

    Raises:
        DeviceError: There is no such microphone.
        ConnectionLostError: The broker cannot be reached.
    """
    quiet_libraries()
    _run(url, lambda patch: patch.source(microphone(device, rate=rate), to=name), f"speaking to {name}")


def change_voice(
    url: str, source: str, target: str, voice: Voice, parameters: VoiceParameters, orders: str | None = None
) -> None:
    """Run a voice from one channel to another until the first is closed, or Ctrl-C; then the other is closed too.

    Args:
        orders: Channel on which other voices and settings are asked for: :func:`ask_for`.

    Raises:
        ModelError: The voice cannot be built.
        ConnectionLostError: The broker cannot be reached.
    """

    async def run(ended: threading.Event) -> None:
        async with ChannelManager(url) as channels:
            changer = ChannelVoice(
                channels, source, target, voice, parameters=parameters, max_queue=MAX_QUEUE, max_fill_s=MAX_FILL_S
            )
            async with AsyncExitStack() as stack:
                if orders is not None:
                    asked = await stack.enter_async_context(channels.subscribe(orders, target, policy="block"))
                    await asked.ready()
                    following = asyncio.create_task(obey(asked, changer, look_up, _say))
                    stack.callback(following.cancel)
                await changer.ready()
                work = asyncio.create_task(changer.run())
                told = asyncio.create_task(asyncio.to_thread(ended.wait))
                _say(f"listening to {source}; Ctrl-C ends")
                await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
                changer.finish()
                ended.set()
                await told
                await work

    _until_told(run)


def ask_for(url: str, orders: str, voice: str | None, settings: Mapping[str, float]) -> None:
    """Ask a running :func:`change_voice` for another voice, or other settings.

    Raises:
        ConfigError: Nothing is asked for.
        ConnectionLostError: The broker cannot be reached.
    """
    messages: list[dict[str, object]] = []
    if voice is not None:
        messages.append({"action": "selectVoice", "voiceId": voice})
    if settings:
        messages.append({"action": "setParameters", "parameters": dict(settings)})
    if not messages:
        raise ConfigError("nothing to change: name --voice, --pitch, --formant or --mix")

    async def run() -> None:
        async with ChannelManager(url) as channels:
            for message in messages:
                await channels.publish(orders, message)

    with _broker():
        asyncio.run(run())
