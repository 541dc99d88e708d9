import re
from pathlib import Path

import numpy as np
import pytest

from menura import read_audio, write_audio

GUIDE = Path("docs/pipelines.md").read_text()


def test_guide_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    speech, rate = read_audio("tests/fixtures/speech/am_michael_u1.flac")
    monkeypatch.chdir(tmp_path)
    write_audio("me.wav", speech, rate)
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL):
        exec(block, names)
    assert names["higher"].frames == len(speech)
    assert names["higher"].metadata == {"who": "me"}
    for streams in (names["lower"], names["robot"]):
        assert sum(stream.frames for stream in streams) == len(speech)
        assert streams[0].timestamp[0] == 10.0
        assert streams[-1].timestamp[1] == pytest.approx(10.0 + len(speech) / rate)
    for streams in (names["mixed"], names["waves"]):
        assert sum(stream.frames for stream in streams) == 96_000
    synth, rate = read_audio("synth.wav")
    assert (len(synth), rate) == (192_000, 48_000)
    assert np.abs(synth).max() > 0.1


def test_guide_names_what_exists() -> None:
    import menura

    for word in re.findall(r"`([A-Za-z_]+)\(", GUIDE):
        if word not in {"process", "flush", "stats", "run", "stop", "mix", "read"}:
            assert word in menura.__all__, word
    for path in re.findall(r"`(examples/[\w.]+)`", GUIDE):
        assert Path(path).exists()
