import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from menura.audio.files import AudioReader, AudioWriter, read_audio, writable_suffixes, write_audio
from menura.errors import FileError

SPEECH = Path("tests/fixtures/speech/af_heart_u1.flac")


@pytest.mark.parametrize("suffix", writable_suffixes())
@pytest.mark.parametrize("channels", [1, 2])
def test_round_trip_keeps_alignment_when_written_and_read(tmp_path: Path, suffix: str, channels: int) -> None:
    x, rate = read_audio(SPEECH)
    x = np.repeat(x, channels, axis=1) * np.linspace(1.0, 0.5, channels, dtype=np.float32)
    path = tmp_path / f"speech{suffix}"
    write_audio(path, x, rate)
    y, read_rate = read_audio(path)
    assert y.shape[1] == channels
    assert abs(len(y) / read_rate - len(x) / rate) < 0.03  # AAC and Opus pad the last packet
    if read_rate == rate:
        n = min(len(x), len(y))
        assert np.corrcoef(x[:n, 0], y[:n, 0])[0, 1] > 0.98


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".m4a", ".opus"])
def test_empty_file_when_nothing_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"empty{suffix}"
    with AudioWriter(path, 48000):
        pass
    assert path.exists()


def test_nothing_appears_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), AudioWriter(path, 48000) as writer:
        writer.write(np.zeros((100, 1), np.float32))
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.wav"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.wav", "no such file"),
        ("folder", "is a folder"),
        ("text.wav", "cannot be read as audio"),
        ("empty.mp3", "is empty"),
        ("unknown.wav", "its encoding is unknown"),
    ],
)
def test_error_names_the_file_when_it_cannot_be_read(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.wav").write_text("this is no audio " * 100)
    (tmp_path / "empty.mp3").touch()
    form = struct.pack("<HHIIHH", 1, 3, 8000, 8000 * 15, 15, 36)  # no decoder knows samples of 36 bits
    data = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", 75) + bytes(75)
    (tmp_path / "unknown.wav").write_bytes(b"RIFF" + struct.pack("<I", len(data)) + data)
    with pytest.raises(FileError, match=says) as caught:
        AudioReader(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "rate", "channels", "says"),
    [
        ("x.xyz", 48000, 1, "choose one of"),
        ("none/x.wav", 48000, 1, "No such file"),
        ("x.opus", 44100, 1, "cannot hold 44100 Hz"),
        ("x.mp3", 48000, 6, "1 or 2 channels"),
    ],
)
def test_error_says_what_to_do_when_it_cannot_be_written(
    tmp_path: Path, name: str, rate: int, channels: int, says: str
) -> None:
    with pytest.raises(FileError, match=says):
        AudioWriter(tmp_path / name, rate, channels)
    assert list(tmp_path.iterdir()) == []


def test_truncated_file_gives_what_it_holds_or_an_error(tmp_path: Path) -> None:
    whole = SPEECH.read_bytes()
    path = tmp_path / "cut.flac"
    path.write_bytes(whole[: len(whole) // 2])
    try:
        x, _ = read_audio(path)
    except FileError as error:
        assert "cut.flac" in str(error)
    else:
        assert 0 < len(x) <= 61176


KILLED = """
import os, signal, sys
import numpy as np
from menura.audio.files import AudioWriter
writer = AudioWriter(sys.argv[1], 48_000)
writer.write(np.zeros((48_000, 1), np.float32))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ["take [1].flac", "take.mp3"])
def test_what_a_killed_process_left_goes_and_what_is_being_written_stays(tmp_path: Path, name: str) -> None:
    with AudioWriter(tmp_path / name, 48_000) as living:
        (tmp_path / f"other.{name}").write_text("of another")
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)])
        assert len(list(tmp_path.glob(".*.part"))) == 2
        write_audio(tmp_path / name, np.zeros((480, 1), np.float32), 48_000)
        assert len(list(tmp_path.glob(".*.part"))) == 1
        living.write(np.zeros((48_000, 1), np.float32))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"other.{name}"])
    assert len(read_audio(tmp_path / name)[0]) >= 48_000


@pytest.mark.parametrize("name", ["x.flac", "x.mp3", "x.wav", "x.ogg"])
def test_what_is_no_audio_but_is_named_so_is_refused_when_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no audio")
    with pytest.raises(FileError, match="cannot be read as audio"):
        AudioReader(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1.0,\n{}\n#EXT-X-ENDLIST\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1.0,\nfile://{}\n#EXT-X-ENDLIST\n"),
        ("list", "ffconcat version 1.0\nfile beside.mp3\n"),
        ("list.concat", "ffconcat version 1.0\nfile beside.mp3\n"),
    ],
)
def test_a_file_that_names_others_reads_none_of_them(tmp_path: Path, name: str, text: str) -> None:
    write_audio(tmp_path / "beside.mp3", np.zeros((48_000, 1), np.float32), 48_000)
    (tmp_path / name).write_text(text.format(tmp_path / "beside.mp3"))
    with pytest.raises(FileError, match="cannot be read as audio"):
        AudioReader(tmp_path / name)


@pytest.mark.parametrize(
    ("container", "codec", "name"),
    [
        ("mpegts", "mp2", "x.ts"),
        ("matroska", "pcm_s16le", "x.mkv"),
        ("avi", "mp2", "x.avi"),
        ("asf", "mp2", "x.wma"),
        ("adts", "aac", "x.aac"),
        ("wv", "wavpack", "x.wv"),
        ("au", "pcm_s16be", "x"),
        ("flv", "adpcm_swf", "x.flv"),
        ("tta", "tta", "x.tta"),
    ],
)
def test_what_telephones_cameras_and_players_write_is_read(
    tmp_path: Path, container: str, codec: str, name: str
) -> None:
    import av

    with av.open(str(tmp_path / name), "w", format=container) as out:
        stream = out.add_stream(codec, rate=44_100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.int16), "s16", "mono")
        frame.rate = 44_100
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    x, rate = read_audio(tmp_path / name)
    assert rate == 44_100
    assert abs(len(x) - rate) < 0.1 * rate
