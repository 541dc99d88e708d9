"""Validation, conversion, analysis."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menura.audio.config import AudioConfig
from menura.audio.files import read_audio
from menura.audio.format import AudioFormat
from menura.engine.config import ProcessingMode
from menura.engine.processor import AudioProcessor
from menura.engine.verdict import Verdict
from menura.errors import ConfigError, FormatError
from tests.listen import lag_frames

STEREO = AudioConfig(channels=2)


def pcm(x: np.ndarray) -> bytes:
    return np.round(np.clip(x, -1, 32767 / 32768) * 32768).astype("<i2").tobytes()


def tone(ms: float = 20, level: float = 0.3, rate: int = 24_000, hz: float = 440.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(int(ms * rate / 1000)) / rate)


REFUSED: dict[str, tuple[Any, AudioConfig, Verdict]] = {
    "None": (None, AudioConfig(), Verdict.WRONG_TYPE),
    "str": ("audio", AudioConfig(), Verdict.WRONG_TYPE),
    "array": (np.zeros(10, np.int16), AudioConfig(), Verdict.WRONG_TYPE),
    "strided": (memoryview(bytes(100))[::2], AudioConfig(), Verdict.WRONG_TYPE),
    "empty": (b"", AudioConfig(), Verdict.EMPTY),
    "odd": (bytes(961), AudioConfig(), Verdict.ODD_BYTES),
    "odd of floats": (bytes(6), AudioConfig(format=AudioFormat.PCM_F32, bit_depth=32), Verdict.ODD_BYTES),
    "half a frame": (bytes(962), STEREO, Verdict.PARTIAL_FRAME),
    "long": (bytes(960 * 51), AudioConfig(max_chunk_ms=1000), Verdict.TOO_LONG),
    "nan": (b"\x00\x00\xc0\x7f" * 8, AudioConfig(format=AudioFormat.PCM_F32, bit_depth=32), Verdict.NOT_FINITE),
}
ACCEPTED: dict[str, tuple[bytes, Verdict]] = {
    "tone": (pcm(tone()), Verdict.OK),
    "low voice": (pcm(tone(hz=75)), Verdict.OK),
    "clipped": (pcm(tone(level=1.6)), Verdict.CLIPPED),
    "one loud sample": (pcm(np.eye(1, 480, 7)[0] * 0.99 + tone(level=0.1)), Verdict.OK),
    "offset": (pcm(tone(level=0.1) + 0.2), Verdict.DC_OFFSET),
    "silence": (bytes(960), Verdict.SILENCE),
    "whisper of a noise": (pcm(tone(level=0.005)), Verdict.SILENCE),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_audio_is_refused_with_its_reason(case: str) -> None:
    audio, config, verdict = REFUSED[case]
    processor = AudioProcessor(config)
    valid, why = processor.validate_format(audio)
    assert (valid, processor.inspect(audio)) == (False, verdict)
    assert why
    assert processor.process_realtime(audio) == b""
    assert processor.analyze_audio(audio).verdict is verdict


def test_every_reason_reads_differently() -> None:
    texts = [AudioProcessor(config).validate_format(audio)[1] for audio, config, _ in REFUSED.values()]
    texts += [AudioProcessor().validate_format(audio)[1] for audio, _ in ACCEPTED.values()]
    starts = {str(text).split(":")[0] for text in texts}
    assert starts == {
        "wrong type", "empty", "odd bytes", "wrong length for 2 channels", "too long", "not finite", "clipped",
        "DC offset", "silence", "None",
    }  # fmt: skip


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("case", ACCEPTED)
def test_sound_worth_a_remark_is_accepted(case: str, kind: Any) -> None:
    audio, verdict = ACCEPTED[case]
    processor = AudioProcessor(mode=ProcessingMode.REALTIME)
    valid, remark = processor.validate_format(kind(audio))
    assert valid
    assert processor.inspect(kind(audio)) is verdict
    assert (remark is None) == (verdict is Verdict.OK)
    assert processor.process_realtime(kind(audio)) == audio


def test_the_expected_format_may_be_another() -> None:
    processor = AudioProcessor()
    assert processor.validate_format(bytes([0x10] * 161))[0] is False
    assert processor.validate_format(bytes([0x10] * 161), AudioFormat.G711_ULAW)[0] is True
    with pytest.raises(ConfigError, match="pcm16"):
        processor.validate_format(b"", "mp3")  # type: ignore[arg-type]


@given(st.one_of(st.binary(max_size=3000), st.none(), st.integers(), st.text(), st.lists(st.integers())))
def test_nothing_raises_on_bad_audio(audio: Any) -> None:
    for config in (AudioConfig(), STEREO, AudioConfig(format=AudioFormat.G711_ALAW)):
        processor = AudioProcessor(config)
        valid, why = processor.validate_format(audio)
        assert valid or why
        assert processor.process_realtime(audio) == (audio if valid else b"")
        assert processor.analyze_audio(audio).size_bytes == (len(audio) if isinstance(audio, bytes) else 0)


def test_chunks_keep_every_byte() -> None:
    processor = AudioProcessor(mode=ProcessingMode.REALTIME)
    assert [len(chunk) for chunk in processor.chunk_audio(bytes(48_000), chunk_duration_ms=20)] == [960] * 50
    audio = pcm(tone(105))
    chunks = processor.chunk_audio(audio)
    assert [len(chunk) for chunk in chunks] == [4800, 240]
    assert b"".join(chunks) == audio
    assert processor.chunk_audio(b"") == []
    with pytest.raises(FormatError, match="left over"):
        processor.chunk_audio(bytes(961))
    for duration in (0, -20, 0.01):
        with pytest.raises(ConfigError, match="at least one frame"):
            processor.chunk_audio(bytes(960), duration)  # type: ignore[arg-type]


def test_chunks_of_rates_without_whole_milliseconds_are_whole_frames() -> None:
    processor = AudioProcessor(AudioConfig(sample_rate=22_050, channels=2))
    sizes = {len(chunk) for chunk in processor.chunk_audio(bytes(4 * 22_050), 7)[:-1]}
    assert sizes == {4 * 154}


def test_durations_count_whole_frames() -> None:
    assert AudioProcessor().calculate_duration(bytes(48_000)) == 1000.0
    assert AudioProcessor().calculate_duration(bytes(48_001)) == 1000.0
    assert AudioProcessor(AudioConfig(format=AudioFormat.G711_ULAW, sample_rate=8000)).calculate_duration(
        bytes(160)
    ) == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("rate_in", "rate_out"), [(24_000, 16_000), (24_000, 48_000), (8000, 24_000), (44_100, 16_000)]
)
def test_resampling_a_recording_keeps_it_aligned(rate_in: int, rate_out: int) -> None:
    t_in, t_out = np.arange(rate_in) / rate_in, np.arange(rate_out) / rate_out
    chirp = lambda t: 0.5 * np.sin(2 * np.pi * (300 * t + 500 * t * t))  # noqa: E731
    y = np.frombuffer(AudioProcessor().resample(pcm(chirp(t_in)), rate_in, rate_out), "<i2") / 32768
    assert len(y) == rate_out
    middle = slice(rate_out // 10, -rate_out // 10)
    error = y[middle] - chirp(t_out)[middle]
    assert 10 * np.log10(np.mean(chirp(t_out)[middle] ** 2) / np.mean(error**2)) > 70


def test_resampling_keeps_channels_apart() -> None:
    x = np.stack([tone(100), np.zeros(2400)], axis=1)
    y = np.frombuffer(AudioProcessor(STEREO).resample(pcm(x), 24_000, 16_000), "<i2").reshape(-1, 2)
    assert len(y) == 1600
    assert not y[:, 1].any()


def test_resampling_refuses_what_it_cannot_do() -> None:
    with pytest.raises(FormatError):
        AudioProcessor().resample(bytes(3), 24_000, 16_000)
    with pytest.raises(ConfigError):
        AudioProcessor().resample(bytes(4), 24_000, 0)


def test_mono_is_the_mean_of_all_channels() -> None:
    processor = AudioProcessor()
    stereo = np.array([[1000, 3000], [-20_000, -30_000]], "<i2").tobytes()
    assert np.frombuffer(processor.ensure_mono(stereo, 2), "<i2").tolist() == [2000, -25_000]
    assert processor.ensure_mono(stereo, 1) == stereo
    with pytest.raises(FormatError):
        processor.ensure_mono(stereo[:6], 2)


def test_g711_is_exact_for_all_samples_and_codes() -> None:
    processor = AudioProcessor()
    every = np.arange(-32768, 32768).astype("<i2").tobytes()
    codes = bytes(range(256))
    for form in (AudioFormat.G711_ULAW, AudioFormat.G711_ALAW):
        encoded = processor.encode(every, form)
        assert len(encoded) == 65_536
        decoded = np.frombuffer(processor.decode(codes, form), "<i2")
        assert processor.decode(processor.encode(processor.decode(codes, form), form), form) == decoded.tobytes()
        # each sample goes to a code whose value is among the two nearest of its sign
        values = decoded[np.frombuffer(encoded, np.uint8)].astype(int)
        samples = np.arange(-32768, 32768)
        step = np.maximum(8, np.abs(samples) / 16.0)
        assert np.all(np.abs(values - samples) <= step + 8)


def test_encodings_round_trip_and_refuse() -> None:
    processor = AudioProcessor()
    audio = pcm(tone())
    assert processor.decode(processor.encode(audio, AudioFormat.PCM_F32), AudioFormat.PCM_F32) == audio
    assert processor.encode(audio, "pcm16") == audio  # type: ignore[arg-type]
    for call in (processor.encode, processor.decode):
        with pytest.raises(ConfigError, match="format must be one of"):
            call(audio, "opus")  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="16-bit"):
        processor.encode(b"123", AudioFormat.G711_ULAW)


def test_analysis_tells_speech_from_a_tone_and_from_silence() -> None:
    x, rate = read_audio("tests/fixtures/speech/af_heart_u1.flac")
    processor = AudioProcessor(AudioConfig(sample_rate=rate))
    speech = processor.analyze_audio(pcm(x[:, 0]), detailed=True)
    assert speech.is_speech
    assert speech.duration_ms == pytest.approx(1000 * len(x) / rate)
    assert speech.peak_amplitude == pytest.approx(np.abs(x).max(), abs=1e-4)
    assert speech.rms_amplitude == pytest.approx(np.sqrt(np.mean(x**2)), rel=1e-3)
    assert speech.loudness_lufs is not None
    assert -35 < speech.loudness_lufs < -10
    silence = processor.analyze_audio(bytes(48_000), detailed=True)
    assert (silence.verdict, silence.is_speech, silence.signal_to_noise_ratio) == (Verdict.SILENCE, False, None)
    assert "is_speech" not in processor.analyze_audio(bytes(960)).to_dict()


@pytest.mark.parametrize("snr_db", [10, 20, 30])
def test_signal_to_noise_ratio_is_about_right(snr_db: float) -> None:
    x, rate = read_audio("tests/fixtures/speech/am_michael_u2.flac")
    speech = np.concatenate([np.zeros(rate // 2), x[:, 0], np.zeros(rate // 2)])
    active = np.sqrt(np.mean(np.sort(np.square(x[:, 0]))[len(x) // 2 :]))
    noise = np.random.default_rng(3).standard_normal(len(speech)) * active * 10 ** (-snr_db / 20)
    found = AudioProcessor(AudioConfig(sample_rate=rate)).analyze_audio(pcm(speech + noise), True).signal_to_noise_ratio
    assert found is not None
    assert abs(found - snr_db) < 6


def test_a_recording_is_cleaned_and_levelled_in_place() -> None:
    x, rate = read_audio("tests/fixtures/speech/bf_emma_u3.flac")
    noisy = 0.05 * (x[:, 0] + 0.02 * np.random.default_rng(4).standard_normal(len(x)))
    audio = pcm(noisy)
    processor = AudioProcessor(AudioConfig(sample_rate=rate))
    out, metadata = processor.process_quality(audio, enhance=True, normalize=True)
    assert len(out) == len(audio)
    y = np.frombuffer(out, "<i2") / 32768
    assert abs(lag_frames(noisy.astype(np.float32)[:, None], y.astype(np.float32)[:, None])) <= rate // 1000
    before = processor.analyze_audio(audio, True)
    assert metadata.loudness_lufs == pytest.approx(-20.0, abs=1.0)
    assert metadata.peak_amplitude is not None
    assert metadata.peak_amplitude <= 0.9
    assert before.loudness_lufs is not None
    assert before.loudness_lufs < -35
    assert metadata.signal_to_noise_ratio > before.signal_to_noise_ratio + 3  # type: ignore[operator]
    assert processor.process_quality(audio, enhance=False, normalize=False)[0] == audio
    assert processor.process_quality(b"1")[0] == b""
