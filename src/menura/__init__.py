"""menura changes voices while people speak.

Names are imported when first used, so that ``import menura`` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "AudioFormat": "menura.audio.format",
    "AudioStream": "menura.audio.stream",
    "Chain": "menura.dsp.chain",
    "MenuraError": "menura.errors",
    "PitchShift": "menura.dsp.shift",
    "Stage": "menura.dsp.stage",
    "Voice": "menura.voices.voice",
    "builtin_voices": "menura.voices.builtin",
    "convert": "menura.live.convert",
    "create_app": "menura.server.app",
    "find_voice": "menura.voices.builtin",
    "make_stage": "menura.voices.build",
    "read_audio": "menura.audio.files",
    "write_audio": "menura.audio.files",
}

if TYPE_CHECKING:
    from menura.audio.files import read_audio, write_audio
    from menura.audio.format import AudioFormat
    from menura.audio.stream import AudioStream
    from menura.dsp.chain import Chain
    from menura.dsp.shift import PitchShift
    from menura.dsp.stage import Stage
    from menura.errors import MenuraError
    from menura.live.convert import convert
    from menura.server.app import create_app
    from menura.voices.build import make_stage
    from menura.voices.builtin import builtin_voices, find_voice
    from menura.voices.voice import Voice

__all__ = [
    "AudioFormat",
    "AudioStream",
    "Chain",
    "MenuraError",
    "PitchShift",
    "Stage",
    "Voice",
    "builtin_voices",
    "convert",
    "create_app",
    "find_voice",
    "make_stage",
    "read_audio",
    "write_audio",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'menura' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
