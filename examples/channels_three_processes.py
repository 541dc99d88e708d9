"""One voice over three machines: a microphone, a converter and a loudspeaker, joined by channels over a NATS broker.

    nats-server
    python examples/channels_three_processes.py speak   --url nats://broker:4222
    python examples/channels_three_processes.py convert --url nats://broker:4222 --voice natural-woman --pitch 3
    python examples/channels_three_processes.py mic     --url nats://broker:4222

Instead of devices, files: ``mic --file speech.wav`` plays one at the pace of time, ``speak --file out.wav`` records.
Each may be started, ended and started again at any time; the end of the microphone, by Ctrl-C or at the end of its
file, ends the others. Streams carry the time at which they were said, so ``speak`` tells the whole delay, if the
machines' clocks agree. A line typed at ``convert`` changes the voice: ``younger-man`` or ``natural-woman 2.5``.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress

from menura import (
    AudioStream,
    ChannelManager,
    ChannelVoice,
    MenuraError,
    builtin_voices,
    microphone,
    play,
    play_file,
    record,
)
from menura.clock import monotonic_s
from menura.voices.voice import VoiceParameters

CHUNK_S = 0.02


def show(text: str) -> None:
    """A line about what happens."""
    print(text, flush=True)


async def mic(channels: ChannelManager, args: argparse.Namespace) -> None:
    """A microphone, or a file at the pace of time, into a channel."""
    await channels.create_channel(args.source, AudioStream)
    if args.file:
        source = play_file(args.file, pace=1.0, chunk_s=CHUNK_S, at_s=time.time())
    else:
        source = microphone(args.device, chunk_ms=round(1000 * CHUNK_S), zero_s=monotonic_s() - time.time())
    show("speaking")
    seconds = 0.0
    try:
        async for stream in source:
            await channels.publish(args.source, stream)
            seconds += stream.duration_seconds()
    finally:
        await channels.close_channel(args.source)
        show(f"said {seconds:.2f} s; {channels.all_stats().transport.outgoing}")


async def convert(channels: ChannelManager, args: argparse.Namespace) -> None:
    """From one channel to another, in another voice."""
    await channels.create_channel(args.sink, AudioStream)
    voice = ChannelVoice(channels, args.source, args.sink, args.voice, parameters=VoiceParameters(pitch_st=args.pitch))
    await voice.ready()
    show(f"converting to {args.voice}")
    orders = asyncio.create_task(obey(voice))
    try:
        await voice.run()
    finally:
        orders.cancel()
        await asyncio.wait([orders])
        stats = voice.stats()
        delay = f", of the delay {stats.session.latency_ms:.1f} ms" if stats.session else ""
        show(f"converted {stats.streams_in} streams{delay}; {stats.stage}; dropped {stats.source.dropped}")


async def obey(voice: ChannelVoice) -> None:
    """Change the voice as lines say."""
    lines = asyncio.StreamReader()
    try:
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
    except (ValueError, OSError):  # no terminal and no pipe: nobody gives orders
        return
    try:
        async for line in lines:
            name, _, pitch = line.decode().strip().partition(" ")
            try:
                await voice.switch(name, VoiceParameters(pitch_st=float(pitch or 0.0)))
                show(f"now {name}")
            except (MenuraError, ValueError) as error:
                show(f"{error}; there are {', '.join(each.id for each in builtin_voices())}")
    finally:
        pipe.close()


async def speak(channels: ChannelManager, args: argparse.Namespace) -> None:
    """A channel on a loudspeaker, or into a file."""
    subscription = channels.subscribe(args.sink, "speaker", max_queue=100)
    await subscription.ready()
    delays_ms: list[float] = []

    async def timed() -> AsyncIterator[AudioStream]:
        async for stream in subscription:
            delays_ms.append(1000.0 * (time.time() - stream.timestamp[0]))
            yield stream

    show("listening")
    if args.file:
        show(f"{await record(timed(), args.file)}")
    else:
        await play(timed(), args.device)
    if delays_ms:
        delays_ms.sort()
        middle, most = delays_ms[len(delays_ms) // 2], delays_ms[len(delays_ms) * 99 // 100]
        stats = subscription.stats()
        show(f"delay from the first frame of a stream: median {middle:.1f} ms, p99 {most:.1f} ms")
        show(f"streams {stats.received}, gaps {stats.gaps}, dropped {stats.dropped}")


PARTS = {"mic": mic, "convert": convert, "speak": speak}


async def main() -> None:
    """Do one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--url", default="nats://127.0.0.1:4222")
    parser.add_argument("--source", default="microphone", help="channel of what is said")
    parser.add_argument("--sink", default="changed", help="channel of what is heard")
    parser.add_argument("--voice", default="natural-woman")
    parser.add_argument("--pitch", type=float, default=0.0, help="semitones added")
    parser.add_argument("--file", help="instead of a device")
    parser.add_argument("--device", help="name or part of a name; the default one otherwise")
    args = parser.parse_args()
    async with ChannelManager(args.url) as channels:
        await PARTS[args.part](channels, args)


if __name__ == "__main__":
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(main())
    except MenuraError as failure:
        sys.exit(f"{failure}")
