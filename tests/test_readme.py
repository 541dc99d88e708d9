import re
from pathlib import Path

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
