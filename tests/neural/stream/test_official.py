"""RVC's own streaming, against streams that the official client has made."""

import json

import numpy as np
import pytest

from menura.errors import ConfigError
from menura.neural.stream.model import RvcModel
from menura.neural.stream.official import OfficialShape, OfficialStream, resample
from menura.neural.stream.settings import RvcSettings
from tests.neural import rvc


class Known:
    """Pitch as Praat found it in each block (``pm``, parselmouth 0.4.7), in the place of a package under the GPL."""

    def __init__(self):
        self._blocks = iter(rvc.arrays("stream_v2_48k_dev44k_pm")["f0"])

    def pitch(self, wav):
        return next(self._blocks)[None]


def snr_db(x, y):
    return 10.0 * np.log10(np.sum(np.square(x, dtype=float)) / np.sum(np.square(x - y, dtype=float)))


def official(name):
    held = rvc.arrays(name)
    told = json.loads(str(held["settings"]))
    case, cfg = told["case"], told["case"]["cfg"]
    rmvpe = cfg["f0method"] == "rmvpe"
    config = rvc.voice(case["pth"]).config
    content = rvc.content_model(case["hub"], config.version)
    model = RvcModel(content, rvc.synthesizer(case["pth"]), rvc.rmvpe_pitch() if rmvpe else Known())
    shape = OfficialShape(told["samplerate"], cfg["block_time"], cfg["crossfade_time"], cfg["extra_time"])
    settings = RvcSettings(
        key_st=cfg["pitch"], formant_st=cfg["formant"], gate_db=cfg["threhold"], rms_mix_rate=cfg["rms_mix_rate"],
        noise=0.0, unvoiced="interpolate",
    )  # fmt: skip
    stream = OfficialStream(model, shape, settings, rmvpe=rmvpe)
    audio, blocks, offsets = held["audio"], [], []
    for at in range(0, len(audio) - shape.block + 1, shape.block):
        blocks.append(stream.process(audio[at : at + shape.block]))
        offsets.append(stream.offset)
    assert shape.block == told["block_frame"]
    assert shape.fade == told["sola_buffer_frame"]
    assert offsets == held["sola_offsets"].tolist()
    return held["out"], np.concatenate(blocks), shape.block


def test_a_whole_stream_is_that_of_the_official_client():
    expected, y, _ = official("stream_v2_48k_dev44k")
    assert len(y) == len(expected)
    assert snr_db(expected, y) > 100.0


def test_a_stream_with_rmvpe_is_joined_where_the_official_one_is():
    """The network with random weights finds 2 kHz, where a phase of 600 turns a block adds an error of 1e-7, that of
    single precision in its last sum, up to −60 dB. Before it has added up, the two are the same.
    """
    expected, y, block = official("stream_v1_40k")
    assert snr_db(expected[:block], y[:block]) > 90.0
    assert snr_db(expected[: len(y)], y) > 60.0


def test_audio_is_converted_piece_by_piece_as_torchaudio_does():
    x = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100).astype(np.float32)
    y = resample(x, 44_100, 16_000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert len(y) == 16_000
    assert snr_db(expected[100:-100], y[100:-100]) > 60.0
    assert resample(x, 16_000, 16_000) is x


def test_shapes_that_cannot_be_are_refused():
    with pytest.raises(ConfigError):
        OfficialShape(44_117)
    with pytest.raises(ConfigError):
        OfficialShape(48_000, block_s=0.001)
