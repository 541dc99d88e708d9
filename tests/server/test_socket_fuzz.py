"""100,000 hostile messages at a real server's sockets; who speaks beside loses nothing."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest

from tests.server.hostile import Hostile, frame
from tests.serving import Client

MESSAGES, SOCKETS, BATCH = int(os.environ.get("MENURA_FUZZ_MESSAGES", "100000")), 4, 250
TIMEOUT_S = 180.0
HEAD = (
    b"GET /ws/realtime-control HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
END = '{"action":"setParameters","parameters":{"mix":0.765432}}'
CHUNK = 1920
MAX_CHUNKS = 1500


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    log = tmp_path / "log"
    environment = {**os.environ, "MENURA_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "tests.server.fuzzed_server"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, env=environment)
    assert process.stdout is not None
    yield process, int(process.stdout.readline()), log
    process.terminate()
    process.wait(20)
    process.stdout.close()


class _Attacker(threading.Thread):
    """Sends hostile messages as fast as they are taken, and reads what comes."""

    def __init__(self, port: int, seed: int, count: int) -> None:
        super().__init__(daemon=True)
        self._raw = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._raw.sendall(HEAD)
        self._hostile, self._count = Hostile(seed), count
        self._sender = threading.Thread(target=self._send, daemon=True)
        self.sent, self.reached_end = 0, False
        self.codes: set[bytes] = set()
        self.leaks: set[bytes] = set()

    def _send(self) -> None:
        while self.sent < self._count:
            size = min(BATCH, self._count - self.sent)
            self._raw.sendall(b"".join(frame(self._hostile.next()) for _ in range(size)))
            self.sent += size
        self._raw.sendall(frame('{"action":"stop"}') + frame('{"action":"stopPreview"}') + frame(END))

    def run(self) -> None:
        self._sender.start()
        kept = b""
        while data := self._raw.recv(1 << 18):
            kept += data
            self.codes.update(re.findall(rb'"code":"(\w+)"', kept))
            self.leaks.update(re.findall(rb"Traceback|sqlalchemy|site-packages|File \"|/home/|/tmp/", kept))
            if b'"mix":0.765432' in kept:
                self.reached_end = True
                break
            kept = kept[-200:]
        self._raw.close()


def _memory(process: subprocess.Popen[str]) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024


def _speak(client: Client, chunks: list[bytes], until: threading.Event | None = None) -> int:
    """Send a chunk, wait for it to come back, and so on; gives how many."""
    for number, chunk in enumerate(chunks, 1):
        client.socket.send(chunk)
        client.hear(number * CHUNK)
        if until is not None and until.is_set():
            return number
    return len(chunks)


@pytest.mark.timeout(400)
def test_hostile_messages_harm_nobody(server: tuple[subprocess.Popen[str], int, Path]) -> None:
    process, port, log = server
    address = f"http://127.0.0.1:{port}/"
    noise = np.random.default_rng(3).normal(0, 3000, (MAX_CHUNKS, CHUNK // 2)).astype("<i2")
    chunks, over = [row.tobytes() for row in noise], threading.Event()
    with Client(address) as good:
        good.begin("robot")
        count = [0]
        speaking = threading.Thread(target=lambda: count.__setitem__(0, _speak(good, chunks, over)), daemon=True)
        speaking.start()
        warm = [_Attacker(port, seed, 500) for seed in range(SOCKETS)]
        _fight(warm)
        before = _memory(process)
        attackers = [_Attacker(port, 100 + seed, MESSAGES // SOCKETS) for seed in range(SOCKETS)]
        _fight(attackers)
        grown = _memory(process) - before
        over.set()
        speaking.join(TIMEOUT_S)
        assert count[0] > 0
        assert good.ask("getStatus")["status"]["processing"] is True
    with Client(address) as quiet:
        quiet.begin("robot")
        _speak(quiet, chunks[: count[0]])
        assert quiet.audio == good.audio
    assert sum(attacker.sent for attacker in attackers) == MESSAGES // SOCKETS * SOCKETS
    codes = set.union(*(attacker.codes for attacker in attackers))
    assert {b"invalid_message", b"voice_not_found"} <= codes
    said = log.read_text()
    assert "Traceback" not in said, said[-3000:]
    assert b"internal" not in codes
    assert not set.union(*(attacker.leaks for attacker in attackers))
    assert grown < 100_000_000
    assert httpx.get(f"{address}health").status_code == 200


def _fight(attackers: list[_Attacker]) -> None:
    for attacker in attackers:
        attacker.start()
    for attacker in attackers:
        attacker.join(TIMEOUT_S)
        assert attacker.reached_end, f"the server hung or left after {attacker.sent} messages"
