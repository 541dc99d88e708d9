"""``menura live``: speak with another voice, now."""

import sys
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from menura.audio.files import AudioWriter
from menura.cli.desk import HELP, Desk
from menura.cli.interrupt import until_interrupted
from menura.cli.keys import Keys
from menura.cli.meters import bar, clock
from menura.cli.quiet import quiet_libraries
from menura.clock import monotonic_s
from menura.errors import DeviceError, FileError, LibraryError
from menura.live.making import make_stage
from menura.live.recorder import Recorder
from menura.live.session import VoiceSession
from menura.live.sound_server import reached
from menura.live.speaking import Devices, Speaking, SpeakingStats
from menura.store.lookup import all_voices
from menura.units import gain_to_db
from menura.voices.builtin import builtin_voices
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["speak"]

RATE = 48_000
LOOK_S = 0.1
LINE_EVERY_S = 2.0
"""Where nobody looks at a terminal."""


def speak(voice: Voice, parameters: VoiceParameters, devices: Devices, record: Path | None = None) -> None:
    """Change the microphone's voice until Ctrl-C, or q. Devices that are lost are awaited; keys choose other voices.

    Args:
        voice: Which.
        parameters: Settings on top of it.
        devices: From where to where.
        record: Gets the microphone on its left channel and the voice, as late as it is, on its right.

    Raises:
        DeviceError: A device is missing.
        FileError: The recording cannot be written.
    """
    quiet_libraries()
    devices = reached(devices)
    session = VoiceSession(make_stage(voice, RATE, parameters=parameters))
    with ExitStack() as stack:
        recorder = None
        if record is not None:
            writer = stack.enter_context(AudioWriter(record, RATE, 2))
            recorder = Recorder(writer.write)
            stack.callback(recorder.close)
        ended = stack.enter_context(until_interrupted())
        desk = Desk(session, voice, parameters, _voices())
        stack.callback(desk.close)
        keys = stack.enter_context(Keys())
        screen = _Screen(desk, recorder, HELP if keys.there else "")
        speaking = Speaking(session, devices, recorder=recorder, tell=screen.tell)
        stack.callback(speaking.stop)
        speaking.start()
        with screen:
            while not (ended.wait(LOOK_S) or desk.ended):
                if speaking.error is not None:
                    raise speaking.error
                desk.press(keys.pressed())
                desk.look()
                screen.show(speaking, speaking.stats())
        speaking.stop()
        if recorder is not None:
            recorder.close()
            if recorder.error is not None:
                raise recorder.error
            print(f"{record}: the microphone left, the voice right", file=sys.stderr)


def _voices() -> list[str]:
    with suppress(LibraryError, FileError):  # one needs no library to speak
        return [voice.id for voice in all_voices()]
    return [voice.id for voice in builtin_voices()]


class _Screen:
    """Levels and latency on a terminal; elsewhere a line now and then."""

    def __init__(self, desk: Desk, recorder: Recorder | None, hint: str) -> None:
        self._desk, self._recorder, self._hint = desk, recorder, hint
        self._console = Console()
        self._live: Live | None = None
        self._news: deque[Exception | None] = deque()
        self._began_s = self._line_s = monotonic_s()

    def __enter__(self) -> "_Screen":
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=10, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def tell(self, error: Exception | None) -> None:
        """Keep what was lost, or that it is back, to be shown: the audio thread does not wait for a terminal."""
        self._news.append(error)

    def _say(self) -> None:
        while self._news:
            error = self._news.popleft()
            what = "the devices are back" if error is None else f"{error}; waiting for it to return"
            if isinstance(error, DeviceError) or error is None:
                print(f"menura: {what}", file=sys.stderr, flush=True)

    def show(self, speaking: Speaking, stats: SpeakingStats) -> None:
        """Bring it up to date."""
        self._say()
        now_s = monotonic_s()
        if self._live is not None:
            lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in self._lines(speaking, stats)]
            self._live.update(Group(*lines))
        elif now_s - self._line_s >= LINE_EVERY_S:
            self._line_s = now_s
            levels = f"in {_db(stats.input_level)} out {_db(stats.output_level)} dB"
            print(f"{clock(now_s - self._began_s)}  {levels}  {_latency(stats)}  {_faults(stats)}", flush=True)

    def _lines(self, speaking: Speaking, stats: SpeakingStats) -> list[str]:
        microphone, output, monitor = speaking.names
        recording = "   ● recording" if self._recorder is not None else ""
        pitch = f"   speaker at {stats.speaker_hz:.0f} Hz" if stats.speaker_hz else ""
        return [
            f"{self._title()}   {clock(monotonic_s() - self._began_s)}{recording}   Ctrl-C ends",
            f"in   {bar(stats.input_level)}   {microphone}",
            f"out  {bar(stats.output_level)}   {output}{' and ' + monitor if monitor else ''}",
            f"{_latency(stats)}{pitch}",
            f"{_faults(stats)}   voice takes {100.0 * stats.load:.0f} % of the time",
            self._desk.trouble or self._hint,
        ]

    def _title(self) -> str:
        desk = self._desk
        pitch = f" {desk.parameters.pitch_st:+g} st" if desk.parameters.pitch_st else ""
        marks = "".join(f"   {mark}" for mark, on in (("your own voice", desk.own), ("muted", desk.muted)) if on)
        return f"{desk.name}{pitch}{marks}"


def _db(level: float) -> str:
    return f"{gain_to_db(level, -99.0):.0f}"


def _latency(stats: SpeakingStats) -> str:
    if stats.lost:
        return "waiting for the device"
    if stats.one_clock:
        split = f"devices {stats.playback_ms:.0f} + voice {stats.voice_ms:.0f}"
    else:
        split = f"capture {stats.capture_ms:.0f} + voice {stats.voice_ms:.0f} + playback {stats.playback_ms:.0f}"
    return f"latency {stats.latency_ms:.0f} ms = {split}"


def _faults(stats: SpeakingStats) -> str:
    drift = "" if stats.one_clock else f"  clocks {stats.drift_ppm:+.0f} ppm"
    return f"xruns {stats.xruns}  gaps {stats.gaps}{drift}"
