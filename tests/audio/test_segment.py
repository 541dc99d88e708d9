"""pydub's segments."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from menura import AudioStream
from menura.audio.segment import from_segment, to_segment
from menura.errors import FormatError, MissingExtraError

AudioSegment = type(to_segment(AudioStream()))  # imported there, with its warnings at rest


def segment(numbers: list[int], width: int, channels: int = 1) -> Any:
    data = b"".join(number.to_bytes(width, "little", signed=True) for number in numbers)
    return AudioSegment(data=data, sample_width=width, frame_rate=44_100, channels=channels)


@pytest.mark.parametrize(
    ("width", "form", "numbers"),
    [
        (1, "pcm_u8", [0, 127, -128, 64]),
        (2, "pcm_s16le", [0, 32767, -32768, 16384]),
        (4, "pcm_s32le", [0, 2**31 - 1, -(2**31), 2**30 + 1]),
    ],
)
def test_segment_goes_there_and_back_bit_for_bit(width: int, form: str, numbers: list[int]) -> None:
    there = segment(numbers, width, 2)
    stream = from_segment(there, metadata={"source": "pydub"})
    assert (stream.format, stream.sample_width, stream.channels, stream.frames) == (form, width, 2, 2)
    assert stream.timestamp == (0.0, 2 / 44_100)
    assert [value * 2 ** (8 * width - 1) for value in stream.samples("float64").ravel()] == numbers
    back = to_segment(stream)
    assert back.raw_data == there.raw_data
    assert (back.sample_width, back.frame_rate, back.channels) == (width, 44_100, 2)


def test_24_bits_as_pydub_holds_them_keep_all_their_bits() -> None:
    numbers = [0, 1, -1, 8_388_607, -8_388_608, 1_234_567]
    stream = from_segment(segment(numbers, 3))  # pydub makes 32 bits of them
    assert stream.format == "pcm_s32le"
    held = np.frombuffer(stream.data, "<i4")
    assert (held >> 8).tolist() == numbers


def test_24_bits_of_others_keep_their_width() -> None:
    other = SimpleNamespace(raw_data=bytes([1, 2, 3]), frame_rate=48_000, channels=1, sample_width=3)
    stream = from_segment(other)
    assert (stream.format, stream.data) == ("pcm_s24le", bytes([1, 2, 3]))
    assert to_segment(stream).raw_data == bytes([0, 1, 2, 3])


def test_floats_become_32_bits_clipped_at_full_scale() -> None:
    x = np.array([[0.5], [-1.0], [1.5], [2.0**-24]], np.float32)
    back = to_segment(AudioStream.from_block(x, 44_100, format="pcm_f32le"))
    assert np.frombuffer(back.raw_data, "<i4").tolist() == [2**30, -(2**31), 2**31 - 1, 128]


def test_width_no_segment_has_is_refused() -> None:
    with pytest.raises(FormatError, match=r"^Unsupported sample_width: 5"):
        from_segment(SimpleNamespace(raw_data=b"", frame_rate=1, channels=1, sample_width=5))


def test_wave_files_of_8_bits_sound_the_same(tmp_path: Path) -> None:
    path = tmp_path / "8.wav"
    segment([0, 100, -100], 1).export(path, format="wav").close()
    with path.open("rb") as file:
        stream = from_segment(AudioSegment.from_file(file, format="wav"))
    assert (stream.samples("float64")[:, 0] * 128).tolist() == [0, 100, -100]


def test_without_pydub_the_text_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setitem(sys.modules, "pydub", None)
    monkeypatch.delitem(sys.modules, "pydub")
    monkeypatch.setattr("menura.extras.import_module", refuse)
    with pytest.raises(MissingExtraError, match=r"menura\[pydub\]"):
        to_segment(AudioStream())


def test_import_of_pydub_raises_no_warning_where_warnings_are_errors() -> None:
    program = "from menura import AudioStream\nfrom menura.audio.segment import to_segment\nto_segment(AudioStream())"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
