"""A real nats-server on a free port of this machine, which can be stopped, killed, frozen and brought back."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

TIMEOUT_S = 20.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Broker:
    """``nats-server`` in a process of its own, from construction to :meth:`close`.

    Args:
        arguments: More of the command line: ``--auth``, ``--user``, ``--tls``…
    """

    def __init__(self, *arguments: str, config: str = "") -> None:
        command = shutil.which("nats-server")
        if command is None:
            raise RuntimeError("there is no nats-server: run scripts/system-packages.sh")
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="menura-broker-"))
        self._log = self._folder / "log"
        self._command = [command, "-a", "127.0.0.1", "-p", str(self.port), *arguments]
        if config:
            (self._folder / "conf").write_text(config)
            self._command += ["-c", str(self._folder / "conf")]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it greets. On the same port as before."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0) as link:
                if link.recv(4) == b"INFO":
                    return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nats-server does not start: {self._log.read_text()[-500:]}")
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once, with what it holds."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Let it end in good order."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """It stands still: connections stay, nothing is read."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it stood."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait(TIMEOUT_S)
            self._process = None

    def close(self) -> None:
        """End it for good."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()
