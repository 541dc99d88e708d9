"""``menura channel``: audio to and from channels across machines."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from menura.channels.files import play_file
from menura.channels.manager import ChannelManager
from menura.channels.patch import Patch
from menura.channels.recording import RecorderStats, record
from menura.channels.sources import microphone, play
from menura.channels.streaming import Streams
from menura.cli.interrupt import until_interrupted
from menura.cli.quiet import quiet_libraries
from menura.voices.build import VoiceStage, make_stage
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["change_voice", "listen", "play_to_channel", "record_channel", "speak_to_channel"]

MAX_QUEUE = 256
MAX_FILL_S = 0.2
PREBUFFER_MS = 200.0
"""A network and a busy machine may be as late as this."""


def _run(url: str, wire: Callable[[Patch], None], says: str = "") -> None:
    """Run the parts until they end, or are told to: then what is queued runs through. Say so when they have begun."""

    async def run() -> None:
        async with ChannelManager(url) as channels:
            patch = Patch(channels, policy="drop_oldest", max_queue=MAX_QUEUE)
            wire(patch)
            await patch.start()
            if says:
                print(f"{says}; Ctrl-C ends", file=sys.stderr, flush=True)
            done = asyncio.create_task(patch.wait())
            told = asyncio.create_task(asyncio.to_thread(ended.wait))
            await asyncio.wait({done, told}, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                await asyncio.wait({asyncio.create_task(patch.stop())})
            ended.set()
            await told
            await done

    with until_interrupted() as ended:
        try:
            asyncio.run(run())
        finally:
            ended.set()


def record_channel(url: str, name: str, target: Path) -> None:
    """Write a channel to a file until it is closed, or Ctrl-C.

    Raises:
        FileError: The file cannot be written.
        ConnectionLostError: The broker cannot be reached.
    """
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


def change_voice(url: str, source: str, target: str, voice: Voice, parameters: VoiceParameters) -> None:
    """Run a voice from one channel to another until the first is closed, or Ctrl-C; then the other is closed too.

    Raises:
        ModelError: The voice cannot be built.
        ConnectionLostError: The broker cannot be reached.
    """

    def build(rate: int, channels: int) -> VoiceStage:
        return make_stage(voice, rate, channels, parameters=parameters)

    def wire(patch: Patch) -> None:
        patch.stage(source, build, to=target, gaps="fill", max_fill_s=MAX_FILL_S)

    _run(url, wire, f"listening to {source}")
