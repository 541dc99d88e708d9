import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from menura.audio import wav
from menura.audio.block import silence
from menura.audio.files import read_audio
from menura.audio.samples import FORMATS
from menura.audio.wav import WavWriter
from menura.errors import ConfigError, FileError, FormatError


def noise(frames: int, channels: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (frames, channels)).astype(np.float32)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_read_back(tmp_path: Path, form: str, channels: int) -> None:
    path, x = tmp_path / "a.wav", noise(4801, channels)
    with WavWriter(path, 48_000, channels, form) as writer:
        for k in range(0, len(x), 480):
            writer.write(x[k : k + 480])
        assert not path.exists()
    y, rate = read_audio(path)
    assert rate == 48_000
    np.testing.assert_allclose(y, x, atol={"pcm_u8": 2**-7, "pcm_s16le": 2**-15}.get(form, 2**-22))
    assert soundfile.info(path).format in ("WAV", "WAVEX")
    assert names(tmp_path) == ["a.wav"]
    assert (path.stat().st_size % 2) == 0


def test_beyond_four_gigabytes_it_is_rf64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "RIFF_MAX", 10_000)
    x = noise(20_000, 1)
    with WavWriter(tmp_path / "long.wav", 8000) as writer:
        writer.write(x[:1000])
        writer.refresh()
        assert soundfile.info(writer.part).format == "WAV"
        writer.write(x[1000:])
    monkeypatch.undo()
    data = (tmp_path / "long.wav").read_bytes()
    assert data[:4] == b"RF64"
    assert data[12:16] == b"ds64"
    patched = bytearray(data)
    patched[4:8] = b"\xff" * 4  # the limit of this test stands where the true one would
    patched[data.index(b"data") + 4 : data.index(b"data") + 8] = b"\xff" * 4
    (tmp_path / "long.wav").write_bytes(patched)
    y, _ = soundfile.read(tmp_path / "long.wav", dtype="float32", always_2d=True)
    np.testing.assert_allclose(y, x, atol=2**-15)


KILLED = """
import sys, numpy as np
from menura.audio.wav import WavWriter
writer = WavWriter(sys.argv[1], 8000)
for k in range(35):
    writer.write(np.full((800, 1), k / 40, np.float32))
print("written", flush=True)
sys.stdin.read()
"""


def test_killed_process_leaves_a_file_that_can_be_read(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "take.wav")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with program:
        assert program.stdout.readline() == b"written\n"
        program.send_signal(signal.SIGKILL)
    assert names(tmp_path) == ["take.part.wav"]
    x, _ = read_audio(tmp_path / "take.part.wav")
    assert len(x) == 24_000
    np.testing.assert_allclose(x[::800, 0], np.arange(30) / 40, atol=1e-4)
    with WavWriter(tmp_path / "take.wav", 8000) as writer:
        assert writer.part.name == "take.part2.wav"
        writer.write(silence(10))
    assert names(tmp_path) == ["take.part.wav", "take.wav"]


def test_exception_leaves_the_part_and_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), WavWriter(path, 8000) as writer:
        writer.write(silence(100))
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert len(read_audio(tmp_path / "a.part.wav")[0]) == 100
    writer = WavWriter(path, 8000)
    writer.discard()
    assert names(tmp_path) == ["a.part.wav", "a.wav"]


def test_empty_file_is_one(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "a.wav", 8000):
        pass
    assert len(read_audio(tmp_path / "a.wav")[0]) == 0


def test_wrong_use_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="format must be one of"):
        WavWriter(tmp_path / "a.wav", 8000, 1, "mp3")
    with pytest.raises(FileError, match="is a folder"):
        WavWriter(tmp_path, 8000)
    with pytest.raises(FileError, match="No such file"):
        WavWriter(tmp_path / "no" / "a.wav", 8000)
    with pytest.raises(FormatError), WavWriter(tmp_path / "a.wav", 8000) as writer:
        writer.write(silence(10, 2))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_told(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", 8000)
    writer._file.close()
    writer._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - the writer closes it
    with pytest.raises(FileError, match="No space left"):
        for _ in range(20):
            writer.write(silence(8000))
    writer.leave()


def test_a_disk_that_was_full_for_a_while_leaves_no_noise(tmp_path: Path) -> None:
    writer, x = WavWriter(tmp_path / "a.wav", 8000), noise(4000, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writer.write(x)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_001, hard))  # ends within a sample
        with pytest.raises(FileError, match="cannot be written"):
            writer.write(x)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.write(x)
    writer.commit()
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav")[0], np.concatenate([x, x]), atol=1e-4)
