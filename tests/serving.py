"""A real server in a process of its own, and a client for its control socket."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from websockets.sync.client import ClientConnection, connect

TIMEOUT_S = 20.0


@contextmanager
def server_process(
    *arguments: str, environment: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start ``menura serve`` on a free port; gives the page's address and the process, and ends it at the end."""
    command = [sys.executable, "-m", "menura", "serve", "--port", "0", *arguments]
    with log.open("w") if log else nullcontext() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+/", line)
        assert found, f"the server said {line!r}"
        yield found[0], process
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@contextmanager
def running_server(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """The same, for whom its address is enough."""
    with server_process(*arguments, environment=environment) as (address, _):
        yield address


class Client:
    """One control connection: replies in order, audio collected beside them."""

    def __init__(self, address: str, **options: Any) -> None:
        url = address.replace("http", "ws") + "ws/realtime-control"
        self._connecting = connect(url, max_size=None, compression=None, **options)
        self.audio = bytearray()

    def __enter__(self) -> Self:
        self.socket: ClientConnection = self._connecting.__enter__()
        self.greeting = self.reply()
        return self

    def __exit__(self, *reason: Any) -> None:
        self._connecting.__exit__(*reason)

    def reply(self) -> dict[str, Any]:
        """The next reply; audio before it is collected."""
        while True:
            message = self.socket.recv(TIMEOUT_S)
            if isinstance(message, str):
                return json.loads(message)
            self.audio += message

    def hear(self, size: int) -> bytes:
        """Wait until ``size`` bytes of audio have come in all."""
        while len(self.audio) < size:
            message = self.socket.recv(TIMEOUT_S)
            assert isinstance(message, bytes), message
            self.audio += message
        return bytes(self.audio)

    def ask(self, action: str, **fields: Any) -> dict[str, Any]:
        """Send an action; gives its reply."""
        self.socket.send(json.dumps({"action": action, **fields}))
        return self.reply()

    def begin(self, voice: str, rate: int = 48000, form: str = "pcm16") -> None:
        """Select a voice and start with own audio."""
        assert self.ask("selectVoice", voiceId=voice)["type"] == "voiceSelected"
        reply = self.ask("start", audio={"source": "client", "sample_rate": rate, "format": form})
        assert reply["type"] == "status", reply
        assert reply["status"]["processing"] is True

    def pcm16(self) -> NDArray[np.float32]:
        """The audio so far, as pcm16, ``[n, 1]``."""
        return (np.frombuffer(bytes(self.audio), "<i2") / 32768.0).astype(np.float32)[:, None]
