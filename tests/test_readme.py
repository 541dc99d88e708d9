import re
from pathlib import Path

import numpy as np
import pytest

from menura import read_audio, write_audio

README = Path("README.md").read_text()


def test_library_example_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert example
    speech, rate = read_audio("tests/fixtures/speech/am_michael_u1.flac")
    monkeypatch.chdir(tmp_path)
    write_audio("me.m4a", speech, rate)
    names: dict[str, object] = {}
    exec(example[1], names)
    assert Path("her.wav").exists()
    assert len(names["tail"]) == names["voice"].latency  # type: ignore[arg-type, attr-defined]


def test_every_command_and_file_named_exists() -> None:
    for target in ("run", "test"):
        assert re.search(rf"^{target}:", Path("Makefile").read_text(), re.MULTILINE)
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert Path(link).exists(), link


def test_engine_guide_runs_as_printed(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = re.findall(r"```python\n(.*?)```", Path("docs/engine.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(first, names)
    speech, _ = read_audio("tests/fixtures/speech/am_michael_u1.flac")
    quiet = np.random.default_rng(0).normal(0, 0.0005, 24_000)
    pcm = np.round(np.concatenate([quiet, speech[:, 0], quiet]) * 32768).astype("<i2").tobytes()
    up = [names["client_audio"](pcm[i : i + 960]) for i in range(0, len(pcm) - 960, 960)]  # type: ignore[operator]
    sent = b"".join(part for part in up if part)
    assert names["client_audio"](bytes(961)) is None  # type: ignore[operator]
    assert "one was cut" in capsys.readouterr().out
    start = pcm.find(sent)
    assert 24_000 <= start < 48_000, "what was sent is one piece, and begins before the first word"
    assert start + len(sent) >= 2 * (24_000 + len(speech)) - 9600
    exec(second, names)
    assert 400 < names["heard"].end_ms <= 410  # type: ignore[attr-defined]
