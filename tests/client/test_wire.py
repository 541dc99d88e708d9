"""The socket to a provider, against a server that says what it likes."""

import asyncio
import os
import struct
from collections.abc import Awaitable, Callable

import pytest
from websockets.frames import Frame, Opcode

from menura.client.opening import open_socket
from menura.client.options import ConnectionOptions
from menura.client.target import Target
from menura.client.wire import MAX_FRAGMENTS, Wire
from tests.client.faults import TIMEOUT_S, FaultServer, Peer


def run(frames: bytes, job: Callable[[Wire, list[str | bytes]], Awaitable[None]], hear: bool = True) -> None:
    """Connect to a server that sends these bytes, and hear what comes of it."""

    async def script(peer: Peer) -> None:
        peer.connection.transport.write(frames)
        async for _ in peer.connection:
            pass

    with FaultServer(script) as provider:

        async def whole() -> None:
            async with asyncio.timeout(TIMEOUT_S):
                wire = await open_socket(Target(provider.url, None, None, {}), ConnectionOptions())
                assert isinstance(wire, Wire)
                heard = list[str | bytes]()
                if hear:
                    wire.hear(heard.append)
                try:
                    await job(wire, heard)
                finally:
                    wire.transport.abort()
                    await wire.over.wait()

        asyncio.run(whole())


def frame(opcode: Opcode, data: bytes, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_messages_come_whole_and_in_order() -> None:
    frames = b"".join(
        [
            frame(Opcode.TEXT, "né".encode()),
            frame(Opcode.TEXT, b"a", fin=False),
            frame(Opcode.PING, b"?"),
            frame(Opcode.CONT, b"\xc3", fin=False),
            frame(Opcode.CONT, b"\xa9"),
            frame(Opcode.BINARY, b"\x00\xff"),
            frame(Opcode.BINARY, b"\x01", fin=False),
            frame(Opcode.CONT, b"\x02"),
        ]
    )

    async def job(wire: Wire, heard: list[str | bytes]) -> None:
        await until(lambda: len(heard) == 4)
        assert heard == ["né", "aé", b"\x00\xff", b"\x01\x02"]

    run(frames, job)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (frame(Opcode.TEXT, b"\xff\xfe") + frame(Opcode.TEXT, b"later"), 1007),
        (frame(Opcode.TEXT, b"", fin=False) + frame(Opcode.CONT, b"", fin=False) * (MAX_FRAGMENTS + 1), 1009),
        (struct.pack("!BBQ", 0x81, 127, 1 << 40), 1009),
        (frame(Opcode.CONT, b"alone"), 1002),
        (os.urandom(4096), None),
    ],
)
def test_what_is_no_message_ends_the_connection_and_nothing_more_is_heard(frames: bytes, code: int | None) -> None:
    async def job(wire: Wire, heard: list[str | bytes]) -> None:
        await wire.over.wait()
        assert not wire.writable
        assert heard == []
        assert code is None or (wire.protocol.close_sent and wire.protocol.close_sent.code == code)

    run(frames, job)


def test_paused_wire_holds_what_it_has_read_and_reads_no_more() -> None:
    async def job(wire: Wire, heard: list[str | bytes]) -> None:
        def take(message: str | bytes) -> None:
            heard.append(message)
            if len(heard) % 10 == 0:
                wire.pause()

        wire.hear(take)
        for step in range(1, 6):
            await until(lambda step=step: len(heard) == 10 * step)
            await asyncio.sleep(0)
            assert len(heard) == 10 * step
            wire.go_on()
        await until(lambda: len(heard) == 50)
        assert heard == [str(i) for i in range(50)]

    run(b"".join(frame(Opcode.TEXT, str(i).encode()) for i in range(50)), job, hear=False)


def test_what_was_said_before_a_goodbye_is_heard() -> None:
    async def job(wire: Wire, heard: list[str | bytes]) -> None:
        await wire.over.wait()
        assert heard == ["why"]
        assert wire.protocol.close_rcvd is not None
        assert wire.protocol.close_rcvd.code == 4000

    run(frame(Opcode.TEXT, b"why") + frame(Opcode.CLOSE, struct.pack("!H", 4000)), job)


def test_messages_of_every_length_arrive() -> None:
    texts = ["x" * size for size in (0, 1, 125, 126, 127, 65_535, 65_536, 200_000)] + ["é€😀" * 40] * 2000

    async def script(peer: Peer) -> None:
        for text in texts:
            await peer.connection.send("as it was" if await peer.connection.recv() == text else "other")
        await peer.connection.wait_closed()

    with FaultServer(script) as provider:

        async def whole() -> None:
            async with asyncio.timeout(TIMEOUT_S):
                wire = await open_socket(Target(provider.url, None, None, {}), ConnectionOptions())
                assert isinstance(wire, Wire)
                heard = list[str | bytes]()
                wire.hear(heard.append)
                for text in texts:
                    wire.say(text)
                await until(lambda: len(heard) == len(texts))
                assert set(heard) == {"as it was"}
                await wire.close()

        asyncio.run(whole())
