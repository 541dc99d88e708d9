import asyncio
import socket

from menura.cli.serve import _listen


def test_small_messages_are_sent_at_once() -> None:
    """Else the first of an answer waits for the acknowledgement of what was sent before."""

    async def whole() -> None:
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = _listen("127.0.0.1", 0)
        async with await asyncio.start_server(note, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await asyncio.wait_for(seen, 20.0)
            writer.close()
            await writer.wait_closed()

    asyncio.run(whole())
