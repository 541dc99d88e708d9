"""Conversions leave nothing behind: not when their time is over, not when the server is killed."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from menura.clock import VirtualClock
from menura.server.api.conversions import EXPIRE_S, Conversions, Job
from menura.server.api.routes import Rest
from menura.server.catalogue import Catalogue
from menura.server.figures import ServerFigures
from menura.store.scratch import Scratch
from menura.voices.builtin import find_voice
from menura.voices.voice import VoiceParameters
from tests.serving import running_server
from tests.utterances import SPEECH

SOUND = (SPEECH / "am_michael_u1.flac").read_bytes()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def converted(conversions: Conversions, data: bytes = SOUND) -> Job:
    job = conversions.begin(find_voice("robot"), VoiceParameters(), "me.flac")
    job.source.write_bytes(data)
    conversions.start(job)
    assert job.future is not None
    job.future.result(60)
    return job


def test_files_lie_among_the_users_and_go_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENURA_HOME", str(tmp_path))
    conversions = Conversions()
    job = converted(conversions)
    assert job.target.is_relative_to(tmp_path / "conversions")
    assert job.target.exists()
    conversions.close()
    assert not job.folder.exists()


def test_conversion_goes_an_hour_after_its_end_though_nobody_asks(tmp_path: Path, clock: VirtualClock) -> None:
    conversions = Conversions(clock, Scratch(tmp_path))
    jobs = [converted(conversions), converted(conversions, b"no sound")]
    assert [job.state for job in jobs] == ["done", "failed"]
    clock.advance(EXPIRE_S - 1)
    conversions.expire()
    assert all(job.folder.exists() for job in jobs)
    clock.advance(2)
    conversions.expire()
    assert not any(job.folder.exists() for job in jobs)
    conversions.close()


def test_conversion_leaves_the_last_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file may unpack to one that is not."""
    conversions = Conversions(scratch=Scratch(tmp_path))
    monkeypatch.setattr("menura.store.space.SPARE_BYTES", 1 << 60)
    job = converted(conversions)
    assert (job.state, job.error) == ("failed", "the server's disk has no room for this")
    assert not any(job.folder.iterdir())
    conversions.close()


def test_conversion_names_no_other_file_of_the_server(tmp_path: Path) -> None:
    conversions = Conversions(scratch=Scratch(tmp_path))
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1.0,\n{SPEECH.absolute()}/x.mp3\n#EXT-X-ENDLIST\n"
    job = conversions.begin(find_voice("robot"), VoiceParameters(), "list.m3u8")
    job.source.write_text(text)
    conversions.start(job)
    assert job.future is not None
    job.future.result(60)
    assert (job.state, job.error) == ("failed", "list.m3u8: cannot be read as audio (files of this kind are not read)")
    conversions.close()


def test_server_looks_for_what_is_old_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENURA_HOME", str(tmp_path))
    asked: list[str] = []
    rest = Rest(FastAPI(), Catalogue([find_voice("robot")]), tmp_path, ServerFigures(CollectorRegistry()))
    monkeypatch.setattr(rest.conversions, "expire", lambda: asked.append("conversions"))
    monkeypatch.setattr(rest.uploads, "expire", lambda: asked.append("uploads"))

    async def run() -> None:
        watching = asyncio.create_task(rest.watch(0.001))
        while asked.count("uploads") < 2:
            await asyncio.sleep(0.001)
        watching.cancel()

    asyncio.run(run())
    rest.close()
    assert asked[:4] == ["conversions", "uploads"] * 2


def test_killed_server_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    environment = {**os.environ, "MENURA_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "menura", "serve", "--port", "0", "--no-relay"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+/", process.stdout.readline())
        assert found
        with httpx.Client(base_url=found[0]) as client:
            job = client.post("api/conversions?voice=robot&filename=me.flac", content=SOUND).json()
            deadline_s = time.monotonic() + 60
            while client.get(f"api/conversions/{job['id']}").json()["state"] != "done":
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    (left,) = (tmp_path / "conversions").glob("*/*/out.wav")
    with running_server("--no-relay", environment=environment) as address:
        assert httpx.get(f"{address}api/health").status_code == 200
        assert not left.exists()
        assert [path.name for path in (tmp_path / "conversions").iterdir()] == ["lock"]


def test_conversion_deleted_as_it_ends_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[str] = []
    conversions = Conversions(scratch=Scratch(tmp_path), on_end=ends.append)
    job = conversions.begin(find_voice("robot"), VoiceParameters(), "me.flac")
    job.source.write_bytes(SOUND)

    def convert(*_: object, **__: object) -> None:
        job.target.write_bytes(b"all of it")
        conversions.remove(job)  # after the last block

    monkeypatch.setattr("menura.server.api.conversions.convert", convert)
    conversions.start(job)
    assert job.future is not None
    job.future.result(60)
    assert not job.folder.exists()
    assert ends == ["cancelled"]
    conversions.close()
