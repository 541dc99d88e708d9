import random

import numpy as np
import pytest

from menura.audio.config import AudioConfig
from menura.audio.format import AudioFormat, StreamFormat
from menura.audio.pcm import decode, encode
from menura.engine.packed import Packed
from menura.engine.playback import Playback
from menura.errors import LimitError

FORM = StreamFormat(AudioFormat.PCM16, 24_000)


def test_bytes_come_out_as_they_went_in_however_they_are_cut() -> None:
    rng = random.Random(0)
    audio = rng.randbytes(200_000)
    packed, out, at = Packed(FORM), b"", 0
    while len(out) < len(audio):
        n = 2 * rng.choice([0, 1, 7, 480, 5000])
        packed.write_bytes(audio[at : at + n])
        at = min(len(audio), at + n)
        assert len(packed) == (at - len(out)) // 2
        out += packed.read_bytes(rng.choice([0, 1, 100, 480, 9000]))
    assert out == audio


def test_piece_read_whole_is_the_object_that_was_written() -> None:
    packed, piece = Packed(FORM), bytes(960)
    packed.write_bytes(piece)
    assert packed.read_bytes(480) is piece


def test_single_frames_are_joined() -> None:
    packed = Packed(FORM)
    for _ in range(10_000):
        packed.write_bytes(b"\x01\x02")
    assert len(packed._pieces) < 50
    packed.keep(3)
    assert (len(packed), packed.read_bytes(9), len(packed)) == (3, b"\x01\x02" * 3, 0)


@pytest.mark.parametrize("encoding", list(AudioFormat))
def test_packed_playback_is_the_same_as_one_of_blocks(encoding: AudioFormat) -> None:
    """Positions, interruptions and fades; bytes where nothing is done to them."""
    form = StreamFormat(encoding, 8000)
    config = AudioConfig(sample_rate=8000, chunk_duration_ms=20)
    x = np.random.default_rng(0).uniform(-0.9, 0.9, (8000, 1)).astype(np.float32)
    data = encode(x, form)
    packed, blocks = Playback(config, form=form), Playback(config)
    rng = random.Random(1)
    at, width = 0, form.frame_bytes
    for step in range(400):
        n = rng.choice([0, 3, 160, 400])
        part = data[at * width : (at + n) * width]
        at += n
        item = f"item{step // 30}"
        assert packed.queue_bytes(part, item) == blocks.queue(decode(part, form), item)
        if step % 41 == 40:
            assert packed.interrupt(step % 2 == 0) == blocks.interrupt(step % 2 == 0)
        m = rng.choice([0, 1, 160, 500])
        heard = decode(encode(blocks.read(m, pad=False), form), form)
        assert np.array_equal(decode(packed.read_bytes(m), form), heard)
        assert packed.position() == blocks.position()
        assert packed.stats() == blocks.stats()
        at %= 7000
    assert packed.events() == blocks.events()


def test_packed_playback_that_is_full_says_so() -> None:
    playback = Playback(AudioConfig(sample_rate=8000), max_ms=100.0, form=StreamFormat(AudioFormat.PCM16, 8000))
    playback.queue_bytes(bytes(1600))
    with pytest.raises(LimitError):
        playback.queue_bytes(bytes(2))
