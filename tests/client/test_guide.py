"""The guide to the connection, whose example runs as printed."""

import re
from pathlib import Path

import pytest

from menura.protocol import realtime_faults
from tests.client.ears import KEY
from tests.client.faults import FaultServer

GUIDE = Path("docs/realtime.md").read_text()


def test_example_runs_as_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    [example] = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    with FaultServer() as server:
        monkeypatch.setattr("menura.client.target.OPENAI_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        names: dict[str, object] = {}
        exec(example, names)
        [peer] = server.peers
        assert peer.types[0] == "session.update"
        assert peer.types[-2:] == ["input_audio_buffer.commit", "response.create"]
        assert len(peer.audio) == 48_000
        assert names["engine"].playback_position().queued_ms == 60.0  # type: ignore[attr-defined]
        assert names["connection"].stats().answers == 1  # type: ignore[attr-defined]


def test_table_of_close_codes_is_true() -> None:
    again, never = (line.split("|")[1] for line in GUIDE.splitlines() if "closed with" in line)
    for text, retry in ((again, True), (never, False)):
        closes = text[text.index("closed with") :].split(";")[0]
        for first, last in re.findall(r"(\d{4})(?:–(\d{4}))?", closes):
            for code in range(int(first), int(last or first) + 1):
                assert realtime_faults.judge_close(code).retry is retry, code
