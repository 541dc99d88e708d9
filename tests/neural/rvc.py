"""RVC's parity fixtures, read once, and the measure they are judged by."""

import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menura.neural.content import ContentModel
from menura.neural.files.hubert import HubertCheckpoint, read_hubert
from menura.neural.files.pitch import FcpeCheckpoint, RmvpeCheckpoint, read_fcpe, read_rmvpe
from menura.neural.files.voice import VoiceCheckpoint, read_voice
from menura.neural.nets.hubert import hubert_front, hubert_transformer
from menura.neural.nets.moments import FirstNorm
from menura.neural.options import RuntimeOptions
from menura.neural.pitch import FcpePitch, RmvpePitch
from menura.neural.runtime import open_session
from menura.neural.synthesizer import Synthesizer

FIXTURES = Path(__file__).parents[1] / "fixtures" / "rvc"
VOICES = ("v2_48k_f0", "v1_40k_f0", "v2_40k_nof0")
ONE_THREAD = RuntimeOptions(threads=1)
PASS_DB = 100.0

Arrays = dict[str, NDArray[Any]]


@lru_cache
def arrays(name: str) -> Arrays:
    """What a fixture holds; half precision as single."""
    with np.load(FIXTURES / f"{name}.npz") as held:
        return {key: held[key].astype(np.float32) if held[key].dtype == np.float16 else held[key] for key in held}


@lru_cache
def voice(name: str) -> VoiceCheckpoint:
    return read_voice(FIXTURES / f"{name}.pth")


@lru_cache
def synthesizer(name: str) -> Synthesizer:
    return Synthesizer(voice(name).config, voice(name).weights, ONE_THREAD)


@lru_cache
def content(name: str) -> HubertCheckpoint:
    return read_hubert(FIXTURES / name)


@lru_cache
def content_model(name: str, version: str) -> ContentModel:
    return ContentModel(content(name).config, content(name).weights, version=version, options=ONE_THREAD)


@lru_cache
def rmvpe_checkpoint() -> RmvpeCheckpoint:
    return read_rmvpe(FIXTURES / "rmvpe_tiny.pt")


@lru_cache
def rmvpe_pitch() -> RmvpePitch:
    return RmvpePitch(rmvpe_checkpoint().config, rmvpe_checkpoint().weights, ONE_THREAD)


@lru_cache
def fcpe_checkpoint() -> FcpeCheckpoint:
    return read_fcpe(FIXTURES / "fcpe_tiny.pt")


@lru_cache
def fcpe_pitch() -> FcpePitch:
    return FcpePitch(fcpe_checkpoint().config, fcpe_checkpoint().weights, ONE_THREAD)


class WholeContent:
    """A content model's two networks run one after the other on a window by itself.

    Attributes:
        front, rest: Their sessions.
    """

    def __init__(self, config, weights, *, layer=None, project=False, options=ONE_THREAD, **precision):
        self._norm = FirstNorm.of(config, weights)
        rest = hubert_transformer(config, weights, layer=layer, project=project, **precision)
        self.front = open_session(hubert_front(config, weights, **precision), options)
        self.rest = open_session(rest, options)

    def __call__(self, wav):
        wav = wav.astype(np.float32)
        told = dict(zip(("factor", "shift"), self._norm.over(wav), strict=True)) if self._norm else {}
        return self.rest.run(rows=self.front.run(wav=wav, **told)[0])[0]


def snr_db(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """Power of the reference over that of the difference."""
    assert ours.shape == theirs.shape
    reference = theirs.astype(np.float64)
    error = ours.astype(np.float64) - reference
    return float(10.0 * np.log10((reference**2).sum() / max((error**2).sum(), 1e-300)))


def assert_same(what: str, ours: NDArray[Any], theirs: NDArray[Any], floor_db: float = PASS_DB) -> None:
    found = snr_db(ours, theirs)
    sys.stdout.write(f"{what}: {found:.1f} dB\n")
    assert found >= floor_db, f"{what}: {found:.1f} dB, wanted {floor_db:.0f}"
