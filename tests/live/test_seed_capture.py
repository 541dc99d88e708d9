"""The uses that the capture's document shows, as it shows them, on a microphone that hears speech."""

import base64
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from menura.devices.port import DeviceInfo
from menura.devices.synthetic_oneway import SyntheticInput
from menura.errors import DeviceError
from menura.live import capture_manager, outbox
from menura.live.capture_manager import (
    AudioCaptureCallbacks,
    AudioCaptureConfig,
    AudioCaptureManager,
    CaptureState,
    create_audio_capture,
    list_audio_devices,
)
from tests.live.capturing import Connection, raw
from tests.utterances import speech

RATE = 24_000
QUIET = np.zeros((RATE, 1), np.float32)


class Spoken(SyntheticInput):
    """A microphone that hears the next block whenever it is looked at."""

    script: np.ndarray
    opened: list["Spoken"]

    def start(self, signal: Any = None) -> None:
        super().start(signal)
        self.feed(self.script)
        self.left = len(self.script)

    def read(self) -> Any:
        if self.alive and self.left > 0:
            self.pump(self.block)
            self.left -= self.block
        return super().read()


@pytest.fixture(autouse=True)
def microphone(monkeypatch: pytest.MonkeyPatch) -> type[Spoken]:
    Spoken.script = np.concatenate([QUIET, speech(RATE, "am_michael")[: 3 * RATE], QUIET])
    Spoken.opened = []

    def opens(device: Any, *, rate: int, channels: int, block: int, **form: Any) -> Spoken:
        Spoken.opened.append(Spoken(rate, block, channels))
        return Spoken.opened[-1]

    known = AudioCaptureManager.__init__.__kwdefaults__
    monkeypatch.setattr(AudioCaptureManager.__init__, "__kwdefaults__", known | {"open_port": opens})
    return Spoken


def record(manager: AudioCaptureManager) -> None:
    """Until all was heard: what stands for ``time.sleep`` in the document."""
    deadline = time.monotonic() + 20.0
    while manager.get_stats()["total_samples"] < len(Spoken.script):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_basic_usage() -> None:
    heard: list[bytes] = []

    def on_audio_data(base64_audio: str, volume: float) -> None:
        assert 0.0 <= volume <= 1.0
        heard.append(base64.b64decode(base64_audio))

    callbacks = AudioCaptureCallbacks(on_audio_data=on_audio_data)
    config = AudioCaptureConfig()
    manager = AudioCaptureManager(config=config, callbacks=callbacks)
    manager.initialize()
    manager.start_recording()
    record(manager)
    manager.stop_recording()
    manager.dispose()
    data = b"".join(heard)
    assert data[: 2 * len(Spoken.script)] == raw(Spoken.script)
    assert all(len(chunk) == 9600 for chunk in heard[:-1])


def test_voice_activity_detection() -> None:
    told: list[str] = []
    config = AudioCaptureConfig(vad_enabled=True, vad_threshold=0.02)
    callbacks = AudioCaptureCallbacks(
        on_vad_speech_start=lambda: told.append("start"), on_vad_speech_end=lambda: told.append("end")
    )
    manager = AudioCaptureManager(config=config, callbacks=callbacks)
    manager.initialize()
    manager.start_recording()
    record(manager)
    manager.dispose()
    assert told[0] == "start"
    assert told[-1] == "end"


def test_volume_meter() -> None:
    bars: list[str] = []

    def on_volume_change(volume: float) -> None:
        bar_length = int(volume * 50)
        bars.append("█" * bar_length + "░" * (50 - bar_length))

    manager = AudioCaptureManager(callbacks=AudioCaptureCallbacks(on_volume_change=on_volume_change))
    manager.initialize()
    manager.start_recording()
    record(manager)
    manager.dispose()
    assert len(bars) > 50
    assert max(bar.count("█") for bar in bars) > 5
    assert bars[-1].count("█") == 0


def test_full_integration_with_a_connection() -> None:
    connection = Connection()
    connection.send_event({"type": "session.update", "session": {"modalities": ["text", "audio"]}})
    manager = create_audio_capture(connection_manager=connection, vad_enabled=True)
    manager.start_recording()
    record(manager)
    manager.stop_recording()
    manager.dispose()
    assert [event["type"] for event in connection.events[1:]] == ["input_audio_buffer.append"] * (
        len(connection.events) - 1
    )
    assert 0 < raw(Spoken.script).find(connection.audio[: 4 * 9600]) < 2 * RATE, "from before the first word on"


def test_error_handling(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = create_audio_capture()
    states = []
    try:
        manager.start_recording()
        manager.pause()
        states.append(manager.get_state())
        manager.resume()
        manager.flush()
        manager.start_recording()
    except RuntimeError as error:
        assert "Already recording" in str(error)
    finally:
        manager.stop_recording()
        manager.dispose()
    assert states == [CaptureState.PAUSED]

    def none(*_: Any, **__: Any) -> Any:
        raise DeviceError("Audio device not available: this machine has no audio input")

    known = AudioCaptureManager.__init__.__kwdefaults__
    monkeypatch.setattr(AudioCaptureManager.__init__, "__kwdefaults__", known | {"open_port": none})
    with pytest.raises(Exception, match="no audio input"):
        create_audio_capture()


def test_devices_to_choose_from_are_microphones(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [DeviceInfo("Mic", 0, "ALSA", 1, 0, 48_000), DeviceInfo("Speaker", 1, "ALSA", 0, 2, 48_000)]
    monkeypatch.setattr(capture_manager, "list_devices", lambda refresh: found)
    assert [(device.index, device.name) for device in list_audio_devices()] == [(0, "Mic")]


def test_the_guide_runs_as_printed(capsys: pytest.CaptureFixture[str]) -> None:
    example = re.search(r"```python\n(.*?)```", Path("docs/devices.md").read_text(), re.DOTALL)
    assert example
    names: dict[str, Any] = {"input": lambda _: record(names["capture"])}
    exec(example[1], names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert max(float(line.split()[1]) for line in lines) > 0.05


def test_an_outbox_delivers_in_order_whoever_posts() -> None:
    box, made = outbox.Outbox(4), []
    for n in range(6):
        box.post(lambda n=n: made.append(n), optional=n % 2 == 0)  # type: ignore[misc]
    box.deliver()
    assert made == list(range(6))
    for n in range(12):
        box.post(lambda n=n: made.append(n), optional=n % 2 == 0)  # type: ignore[misc]
    assert not box.wait(0.0)
    box.deliver()
    assert made[6:] == [1, 3, 4, 5, 6, 7, 8, 9, 10, 11], "the oldest that may be dropped are"
    assert box.dropped == 2
    assert box.wait(0.0)
