import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from menura import read_audio, write_audio
from menura.cli.app import app

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


def commands(text: str) -> Iterator[list[str]]:
    """Words of every ``menura …`` that stands in a text as code."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    lines = [re.split(r"\s{2,}| #", line.strip())[0] for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE))
    for line in lines:
        if found := re.fullmatch(r"(?:\w+=\S+ )?menura( [a-z].*)?", line):
            yield shlex.split(found[1] or "")


@pytest.mark.parametrize("path", ["README.md", *sorted(map(str, Path("docs").glob("*.md")))])
def test_commands_are_such_as_menura_takes(path: str) -> None:
    root = get_command(app)
    for words in commands(Path(path).read_text()):
        command, rest = root, list(words)
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]  # type: ignore[attr-defined]
        assert command is not root or not words, words
        known = {option for param in command.params for option in param.opts + param.secondary_opts}
        options = [word.partition("=")[0] for word in rest if re.match("--?[a-z]", word)]
        assert set(options) <= known, (words, set(options) - known)


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
