import asyncio
import errno
import signal
import socket
import subprocess
import sys
from functools import partial

import pytest

from menura.cli.serve import _listen
from menura.errors import ConfigError


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_it_ends_in_order_as_soon_as_it_has_said_where_it_is(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "menura", "serve", "--port", "0"]
    heed = partial(signal.signal, number, signal.SIG_DFL)  # whoever runs the tests behind nohup has it ignored
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed) as running:
        assert running.stdout is not None
        assert "menura is at" in running.stdout.readline()
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (0 if number == signal.SIGINT else -number, "")


def test_an_address_of_another_machine_is_to_be_changed_not_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ConfigError, match="choose another with --host"):
        _listen("192.0.2.1", 8000)


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
