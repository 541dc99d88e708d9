"""What clients get when the server ends them, or itself."""

import os
import socket
from pathlib import Path

import httpx2 as httpx
import pytest
from websockets.exceptions import ConnectionClosed

from menura.audio.files import read_audio
from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import encode
from menura.store.library import VoiceLibrary
from menura.store.recordings import Recordings
from tests.server.conftest import Served
from tests.serving import TIMEOUT_S, Client, server_process

SPEECH, RATE = read_audio("tests/fixtures/speech/am_michael_u1.flac")
PCM = encode(SPEECH, StreamFormat(AudioFormat.PCM16, RATE))
WAIT = {"timeout": TIMEOUT_S}


def _said_while_recording(client: Client) -> None:
    client.begin("natural-man", RATE)
    assert client.ask("startRecording", sides="both")["type"] == "recordingStarted"
    for start in range(0, 96_000, 9600):
        client.socket.send(PCM[start : start + 9600])
    client.hear(96_000)


def _goodbye(client: Client, code: str) -> ConnectionClosed:
    """All that comes when a session is ended: what was held, then what became of the recording, then why."""
    stopped = client.reply()
    assert stopped["type"] == "recordingStopped"
    assert stopped["recording"]["state"] == "done"
    assert len(client.audio) > 96_000  # what the voice still held has come too
    told = client.reply()  # and no status: a client that comes again goes on by itself
    assert (told["type"], told["code"]) == ("error", code)
    with pytest.raises(ConnectionClosed) as closed:
        client.socket.recv(TIMEOUT_S)
    return closed.value


def test_a_session_that_the_operator_ends_loses_nothing_of_what_was_said(served: Served) -> None:
    with Client(served.address) as client:
        _said_while_recording(client)
        (session,) = httpx.get(f"{served.address}api/sessions", **WAIT).json()["sessions"]
        assert httpx.delete(f"{served.address}api/sessions/{session['id']}", **WAIT).status_code == 204
        closed = _goodbye(client, "ended_by_operator")
        assert closed.rcvd is not None
        assert (closed.rcvd.code, closed.rcvd.reason) == (1008, "ended_by_operator")


def test_a_server_that_is_told_to_end_tells_its_clients(tmp_path: Path) -> None:
    environment = {**os.environ, "MENURA_HOME": str(tmp_path)}
    with (
        server_process("--no-relay", environment=environment, log=tmp_path / "log") as (address, process),
        Client(address) as client,
        Client(address) as idle,
        socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1].strip("/"))), TIMEOUT_S) as upload,
    ):
        upload.sendall(
            b"POST /api/conversions?voice=robot HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nhalf"
        )
        _said_while_recording(client)
        process.terminate()
        closed = _goodbye(client, "server_shutdown")
        assert closed.rcvd is not None
        assert (closed.rcvd.code, closed.rcvd.reason) == (1012, "server_shutdown")
        assert idle.reply()["code"] == "server_shutdown"
        answer = b"".join(iter(lambda: upload.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"server_shutdown" in answer
        process.wait(TIMEOUT_S)
        assert "Traceback" not in (tmp_path / "log").read_text()
    with VoiceLibrary(tmp_path) as library:
        (stored,) = Recordings.of(library).list()
        assert (stored.state, stored.frames) == ("done", 48_000)
        assert len(read_audio(Recordings.of(library).path(stored.id, "output"))[0]) == 48_000
