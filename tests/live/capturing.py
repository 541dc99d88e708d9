"""A capture on synthetic microphones, which come and go as the test says."""

import base64
import threading
import time

import numpy as np

from menura.devices.port import DeviceInfo
from menura.devices.synthetic_oneway import SyntheticInput
from menura.errors import DeviceError
from menura.live.capture_manager import AudioCaptureCallbacks, AudioCaptureConfig, AudioCaptureManager

TIMEOUT_S = 20.0
RATE = 24_000


def until(condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def noise(n, seed=0, channels=1):
    x = np.random.default_rng(seed).integers(-16_000, 16_000, (n, channels))
    return (x / 32768).astype(np.float32), x.astype("<i2").tobytes()


def raw(x):
    return np.clip(np.rint(x * 32768.0), -32768, 32767).astype("<i2").tobytes()


class Connection:
    """A provider's connection, as far as a capture knows it."""

    def __init__(self):
        self.events, self.fault = [], None

    def send_event(self, event):
        if self.fault is not None:
            raise self.fault
        self.events.append(event)

    @property
    def audio(self):
        return b"".join(base64.b64decode(e["audio"]) for e in self.events if e["type"] == "input_audio_buffer.append")


class CaptureRig:
    """A manager, the microphones it opened, and what it told."""

    def __init__(self, connection=None, on=None, **settings):
        self.ports, self.asked, self.absent = [], [], False
        self.log, self.chunks, self.volumes, self.levels, self.errors, self.states = [], [], [], [], [], []
        self.callbacks = AudioCaptureCallbacks(
            on_audio_data=self.on_audio,
            on_volume_change=self.volumes.append,
            on_error=self.errors.append,
            on_state_change=self.on_state,
            on_vad_speech_start=lambda: self.log.append("start"),
            on_vad_speech_end=lambda: self.log.append("end"),
        )
        self.turns = 0
        settings = {"lost_after_s": 10.0} | settings  # the machine may be busy
        self.manager = AudioCaptureManager(
            AudioCaptureConfig(**settings), on or self.callbacks, connection, open_port=self.open
        )
        self._deliver, self.manager._outbox.deliver = self.manager._outbox.deliver, self.deliver

    def deliver(self):
        """The last thing that a turn of the capture's thread does."""
        self._deliver()
        self.turns += threading.current_thread().name == "menura-capture"

    def open(self, device, *, rate, channels, block, latency_s, refresh):
        self.asked.append((device, rate, channels, block, round(latency_s, 4), refresh))
        if self.absent:
            raise DeviceError("Audio device not available: it is away")
        port = SyntheticInput(rate, block, channels)
        port.input = DeviceInfo("Mic One", 3, "Test", 1, 0, rate)
        self.ports.append(port)
        return port

    @property
    def port(self):
        return self.ports[-1]

    @property
    def audio(self):
        return b"".join(self.chunks)

    def on_audio(self, audio, volume):
        self.chunks.append(base64.b64decode(audio))
        self.levels.append(volume)
        self.log.append(len(self.chunks[-1]))

    def on_state(self, state):
        self.states.append(state)
        self.log.append(state)

    def start(self):
        self.manager.initialize()
        self.manager.start_recording()
        return self

    def hear(self, x, block=None):
        """Let it be captured, and the capture keep up."""
        block = block or self.port.block
        for at in range(0, len(x), block):
            part = x[at : at + block]
            before = self.port._intake._read
            self.port.feed(part)
            self.port.pump(len(part))
            goal = before + len(part)
            until(lambda goal=goal, port=self.port: port._intake._read >= goal)
            self.turn()  # what was read has been heard
        self.settle()

    def turn(self):
        """Until the capture's thread has ended a turn."""
        turns = self.turns
        self.port._side.wake()
        until(lambda: self.turns > turns)

    def settle(self):
        """Until the capture's thread has nothing to do."""
        until(lambda: self.manager._outbox.wait(0.0))
        self.manager.get_stats()  # waits for the lock
        until(lambda: self.manager._outbox.wait(0.0))

    def close(self):
        self.manager.dispose()


def none_runs():
    return "menura-capture" not in [thread.name for thread in threading.enumerate()]
