"""The fixtures' speech, at any rate."""

from pathlib import Path

import numpy as np
import soundfile

from menura.audio.block import Samples
from menura.dsp.meter import peak
from menura.dsp.resample import Resampler
from menura.dsp.stage import process_whole

SPEECH = Path(__file__).parent / "fixtures" / "speech"


def speech(rate: int, *speakers: str, peak_level: float = 0.5) -> Samples:
    """Utterances of these speakers, one after the other, ``[n, 1]``."""
    parts = []
    for speaker in speakers:
        for file in sorted(SPEECH.glob(f"{speaker}_*.flac")):
            x, own = soundfile.read(file, dtype="float32", always_2d=True)
            parts.append(process_whole(Resampler(own, rate), x))
    x = np.concatenate(parts)
    return x * np.float32(peak_level / peak(x))
