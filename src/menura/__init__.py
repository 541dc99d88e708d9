"""menura changes voices while people speak.

Names are imported when first used, so that ``import menura`` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "AudioCallback": "menura.live.callback",
    "AudioCallbackConfig": "menura.live.callback",
    "AudioCaptureCallbacks": "menura.live.capture_manager",
    "AudioCaptureConfig": "menura.live.capture_manager",
    "AudioCaptureManager": "menura.live.capture_manager",
    "AudioConfig": "menura.audio.config",
    "AudioEngine": "menura.live.engine",
    "AudioFormat": "menura.audio.format",
    "AudioMetadata": "menura.engine.metadata",
    "AudioMetrics": "menura.engine.metrics",
    "AudioProcessor": "menura.engine.processor",
    "AudioStream": "menura.audio.stream",
    "AudioStreamBuffer": "menura.engine.buffer",
    "BufferConfig": "menura.engine.config",
    "BufferPool": "menura.engine.pool",
    "BufferedAudioPlayer": "menura.live.player",
    "CaptureState": "menura.live.capture_manager",
    "Chain": "menura.dsp.chain",
    "ChannelManager": "menura.channels.manager",
    "ChannelOptions": "menura.channels.options",
    "ChannelVoice": "menura.channels.voice",
    "Denoiser": "menura.dsp.denoise",
    "DirectAudioCapture": "menura.live.capture",
    "FastVADDetector": "menura.vad.fast",
    "Frontend": "menura.dsp.frontend",
    "GUIConfig": "menura.live.rvc",
    "Gaps": "menura.channels.stages",
    "JitterBuffer": "menura.engine.jitter",
    "JitterConfig": "menura.engine.jitter_config",
    "LoudnessMeter": "menura.dsp.loudness",
    "LoudnessNormalizer": "menura.dsp.loudness",
    "MenuraError": "menura.errors",
    "Mix": "menura.channels.mixing",
    "Noise": "menura.dsp.oscillator",
    "Oscillator": "menura.dsp.oscillator",
    "Patch": "menura.channels.patch",
    "PitchShift": "menura.dsp.shift",
    "PlaybackPosition": "menura.engine.position",
    "Policy": "menura.channels.options",
    "ProcessingContext": "menura.channels.context",
    "ProcessingMode": "menura.engine.config",
    "RVC": "menura.live.rvc",
    "RealtimeConnectionManager": "menura.client.connection",
    "RealtimeRelay": "menura.server.realtime_relay",
    "SimpleRVC": "menura.live.simple_rvc",
    "Stage": "menura.dsp.stage",
    "StreamFormat": "menura.audio.format",
    "StreamMixer": "menura.channels.mixer",
    "StreamRecorder": "menura.channels.recording",
    "StreamStage": "menura.channels.stages",
    "Subscription": "menura.channels.subscription",
    "VADConfig": "menura.vad.config",
    "VADState": "menura.vad.config",
    "VADType": "menura.vad.config",
    "Verdict": "menura.engine.verdict",
    "Voice": "menura.voices.voice",
    "VoiceMix": "menura.voices.mix",
    "VoiceParameters": "menura.voices.voice",
    "WebSocketRelay": "menura.server.relay",
    "apply_crossfade": "menura.dsp.fade",
    "array_streams": "menura.channels.sources",
    "builtin_voices": "menura.voices.builtin",
    "combine": "menura.channels.mixing",
    "convert": "menura.live.convert",
    "create_adaptive_engine": "menura.live.engine",
    "create_app": "menura.server.app",
    "create_audio_capture": "menura.live.capture_manager",
    "create_big_lane_engine": "menura.live.engine",
    "create_fast_lane_engine": "menura.live.engine",
    "file_streams": "menura.channels.files",
    "find_voice": "menura.voices.builtin",
    "generate": "menura.channels.sources",
    "inspect_model": "menura.neural.files.inspect",
    "list_audio_devices": "menura.live.capture_manager",
    "make_stage": "menura.voices.build",
    "microphone": "menura.channels.sources",
    "paced": "menura.channels.files",
    "play": "menura.channels.sources",
    "play_file": "menura.channels.files",
    "process": "menura.channels.streaming",
    "read_audio": "menura.audio.files",
    "read_checkpoint": "menura.neural.files.checkpoint",
    "record": "menura.channels.recording",
    "write_audio": "menura.audio.files",
}

if TYPE_CHECKING:
    from menura.audio.config import AudioConfig
    from menura.audio.files import read_audio, write_audio
    from menura.audio.format import AudioFormat, StreamFormat
    from menura.audio.stream import AudioStream
    from menura.channels.context import ProcessingContext
    from menura.channels.files import file_streams, paced, play_file
    from menura.channels.manager import ChannelManager
    from menura.channels.mixer import StreamMixer
    from menura.channels.mixing import Mix, combine
    from menura.channels.options import ChannelOptions, Policy
    from menura.channels.patch import Patch
    from menura.channels.recording import StreamRecorder, record
    from menura.channels.sources import array_streams, generate, microphone, play
    from menura.channels.stages import Gaps, StreamStage
    from menura.channels.streaming import process
    from menura.channels.subscription import Subscription
    from menura.channels.voice import ChannelVoice
    from menura.client.connection import RealtimeConnectionManager
    from menura.dsp.chain import Chain
    from menura.dsp.denoise import Denoiser
    from menura.dsp.fade import apply_crossfade
    from menura.dsp.frontend import Frontend
    from menura.dsp.loudness import LoudnessMeter, LoudnessNormalizer
    from menura.dsp.oscillator import Noise, Oscillator
    from menura.dsp.shift import PitchShift
    from menura.dsp.stage import Stage
    from menura.engine.buffer import AudioStreamBuffer
    from menura.engine.config import BufferConfig, ProcessingMode
    from menura.engine.jitter import JitterBuffer
    from menura.engine.jitter_config import JitterConfig
    from menura.engine.metadata import AudioMetadata
    from menura.engine.metrics import AudioMetrics
    from menura.engine.pool import BufferPool
    from menura.engine.position import PlaybackPosition
    from menura.engine.processor import AudioProcessor
    from menura.engine.verdict import Verdict
    from menura.errors import MenuraError
    from menura.live.callback import AudioCallback, AudioCallbackConfig
    from menura.live.capture import DirectAudioCapture
    from menura.live.capture_manager import (
        AudioCaptureCallbacks,
        AudioCaptureConfig,
        AudioCaptureManager,
        CaptureState,
        create_audio_capture,
        list_audio_devices,
    )
    from menura.live.convert import convert
    from menura.live.engine import AudioEngine, create_adaptive_engine, create_big_lane_engine, create_fast_lane_engine
    from menura.live.player import BufferedAudioPlayer
    from menura.live.rvc import RVC, GUIConfig
    from menura.live.simple_rvc import SimpleRVC
    from menura.neural.files.checkpoint import read_checkpoint
    from menura.neural.files.inspect import inspect_model
    from menura.server.app import create_app
    from menura.server.realtime_relay import RealtimeRelay
    from menura.server.relay import WebSocketRelay
    from menura.vad.config import VADConfig, VADState, VADType
    from menura.vad.fast import FastVADDetector
    from menura.voices.build import make_stage
    from menura.voices.builtin import builtin_voices, find_voice
    from menura.voices.mix import VoiceMix
    from menura.voices.voice import Voice, VoiceParameters

__all__ = [
    "RVC",
    "AudioCallback",
    "AudioCallbackConfig",
    "AudioCaptureCallbacks",
    "AudioCaptureConfig",
    "AudioCaptureManager",
    "AudioConfig",
    "AudioEngine",
    "AudioFormat",
    "AudioMetadata",
    "AudioMetrics",
    "AudioProcessor",
    "AudioStream",
    "AudioStreamBuffer",
    "BufferConfig",
    "BufferPool",
    "BufferedAudioPlayer",
    "CaptureState",
    "Chain",
    "ChannelManager",
    "ChannelOptions",
    "ChannelVoice",
    "Denoiser",
    "DirectAudioCapture",
    "FastVADDetector",
    "Frontend",
    "GUIConfig",
    "Gaps",
    "JitterBuffer",
    "JitterConfig",
    "LoudnessMeter",
    "LoudnessNormalizer",
    "MenuraError",
    "Mix",
    "Noise",
    "Oscillator",
    "Patch",
    "PitchShift",
    "PlaybackPosition",
    "Policy",
    "ProcessingContext",
    "ProcessingMode",
    "RealtimeConnectionManager",
    "RealtimeRelay",
    "SimpleRVC",
    "Stage",
    "StreamFormat",
    "StreamMixer",
    "StreamRecorder",
    "StreamStage",
    "Subscription",
    "VADConfig",
    "VADState",
    "VADType",
    "Verdict",
    "Voice",
    "VoiceMix",
    "VoiceParameters",
    "WebSocketRelay",
    "apply_crossfade",
    "array_streams",
    "builtin_voices",
    "combine",
    "convert",
    "create_adaptive_engine",
    "create_app",
    "create_audio_capture",
    "create_big_lane_engine",
    "create_fast_lane_engine",
    "file_streams",
    "find_voice",
    "generate",
    "inspect_model",
    "list_audio_devices",
    "make_stage",
    "microphone",
    "paced",
    "play",
    "play_file",
    "process",
    "read_audio",
    "read_checkpoint",
    "record",
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
