"""Sound devices without hardware: a private PulseAudio with null sinks, which ALSA and so PortAudio know by name.

``vc_speaker`` is what an application plays into, ``vc_speaker.monitor`` what a listener hears. What the outside world
plays into ``vc_virtmic`` an application records from ``vc_mic``. On ``vc_loop`` the left channel is such a microphone
(``vc_loop_in`` to ``vc_loop_mic``) and the right one such a speaker (``vc_loop_out``): one recording of
``vc_loop.monitor`` has both, on one clock.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import soundfile

NAMES = ("vc_speaker", "vc_virtmic", "vc_mic", "vc_loop_mic", "vc_loop_out", "vc_extra", "vc_extra_mic")
# norewinds: a sink that takes rendered audio back would make monitors glitch
START = """\
load-module module-native-protocol-unix socket={socket} auth-anonymous=1
load-module module-null-sink sink_name=vc_speaker rate=48000 channels=2 norewinds=1
load-module module-null-sink sink_name=vc_virtmic rate=48000 channels=2 norewinds=1
load-module module-remap-source master=vc_virtmic.monitor source_name=vc_mic
load-module module-null-sink sink_name=vc_loop rate=48000 channels=2 norewinds=1
load-module module-remap-sink master=vc_loop sink_name=vc_loop_in channels=1 channel_map=mono \
master_channel_map=front-left remix=no
load-module module-remap-sink master=vc_loop sink_name=vc_loop_out channels=1 channel_map=mono \
master_channel_map=front-right remix=no
load-module module-remap-source master=vc_loop.monitor source_name=vc_loop_mic channels=1 channel_map=mono \
master_channel_map=front-left remix=no
set-default-sink vc_speaker
set-default-source vc_mic
"""

PROMPT = ["nice", "-n", "-15"] if os.geteuid() == 0 else []
"""Audio goes before other work where we may say so: a desktop gives its sound server real-time priority."""


BUSY = 2.0 * (os.cpu_count() or 1)
"""Load beyond which nobody can ask for sound without a gap."""


def in_vain(what: str, tries: object) -> NoReturn:
    """No try was as it should be: that is a fault, unless too many programs want to run.

    Args:
        what: Of which the tries tell.
        tries: What was found in each.
    """
    load = os.getloadavg()[0]
    told = f"{what}, in every try: {tries}"
    pytest.skip(f"{load:.0f} programs want to run; {told}") if load > BUSY else pytest.fail(told)


def hear_ctrl_c() -> None:
    """For a program about to start: what is started in the background would inherit that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Recording:
    """What a source gives, until :meth:`stop`."""

    def __init__(self, audio: "VirtualAudio", source: str, channels: int) -> None:
        self.channels = channels
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                *PROMPT, "parec", f"--device={source}", "--format=float32le", "--rate=48000", f"--channels={channels}",
                "--latency-msec=50", "--raw",
            ],
            env=audio.env,
            stdout=self._file,
        )  # fmt: skip
        deadline = time.monotonic() + 30.0
        while not os.fstat(self._file.fileno()).st_size:
            assert time.monotonic() < deadline, "nothing is recorded"
            time.sleep(0.02)

    def stop(self) -> np.ndarray:
        """``[frames, channels]`` at 48 kHz."""
        self._process.terminate()
        self._process.wait(10)
        self._file.seek(0)
        data = self._file.read()
        self._file.close()
        return np.frombuffer(data[: len(data) // (4 * self.channels) * 4 * self.channels], "<f4").reshape(
            -1, self.channels
        )


class VirtualAudio:
    """The daemon; programs started with ``env`` have its devices."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="menura-audio-"))  # short: a socket's path has 108 bytes
        socket = self.folder / "pulse.sock"
        self.env = {k: v for k, v in os.environ.items() if k != "PULSE_LATENCY_MSEC"} | {
            "PULSE_RUNTIME_PATH": str(self.folder / "run"),
            "PULSE_STATE_PATH": str(self.folder / "state"),
            "PULSE_COOKIE": str(self.folder / "cookie"),
            "PULSE_SERVER": f"unix:{socket}",
            "ALSA_CONFIG_PATH": str(self.folder / "asound.conf"),
        }
        (self.folder / "run").mkdir(mode=0o700)
        (self.folder / "default.pa").write_text(START.format(socket=socket))
        lines = ["</usr/share/alsa/alsa.conf>"]
        lines += [f'{kind}.!default {{ type pulse server "unix:{socket}" }}' for kind in ("pcm", "ctl")]
        lines += [f'pcm.{name} {{ type pulse server "unix:{socket}" device "{name}" }}' for name in NAMES]
        (self.folder / "asound.conf").write_text("\n".join(lines) + "\n")
        self._daemon = subprocess.Popen(
            [
                *PROMPT, "pulseaudio", "-n",
                "-F", str(self.folder / "default.pa"), "--daemonize=no", "--exit-idle-time=-1",
                "--disallow-exit=1", "--use-pid-file=no", "--disable-shm=yes", "--realtime=no", "--high-priority=no",
                f"--log-target=file:{self.folder / 'pulse.log'}", "--fail=1",
            ],
            env=self.env,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60.0
        while subprocess.run(["pactl", "info"], env=self.env, capture_output=True).returncode:
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise RuntimeError("PulseAudio does not start: run scripts/system-packages.sh")
            time.sleep(0.05)

    def load(self, module: str, *arguments: str) -> str:
        """Load a module; returns its index."""
        return subprocess.run(
            ["pactl", "load-module", module, *arguments],
            env=self.env, check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip

    def unload(self, index: str) -> None:
        """Unload a module, as if its device were unplugged."""
        subprocess.run(["pactl", "unload-module", index], env=self.env, check=True)

    def recorded(self) -> list[str]:
        """The sources that programs record from."""
        listing = ["pactl", "list", "source-outputs"]
        listed = subprocess.run(listing, env=self.env, capture_output=True, text=True, check=True).stdout
        names = subprocess.run(["pactl", "list", "short", "sources"], env=self.env, capture_output=True, text=True)
        sources = dict(line.split("\t")[:2] for line in names.stdout.splitlines())
        programs = re.findall(r"Driver: protocol-native.*?Source: (\d+)", listed, re.DOTALL)
        return [sources.get(index, "") for index in programs]

    def until_recorded(self, source: str) -> None:
        """Wait for a program to record it: the first second of its life may be over before it does."""
        deadline = time.monotonic() + 60.0
        while source not in self.recorded():
            assert time.monotonic() < deadline, f"nobody records {source}"
            time.sleep(0.02)

    def unplug_all(self) -> None:
        """Take all devices away: as long as there is one, the server moves streams there."""
        listing = ["pactl", "list", "short", "modules"]
        modules = subprocess.run(listing, env=self.env, capture_output=True, text=True, check=True).stdout
        rows = [line.split("\t") for line in modules.splitlines()]
        for index in [row[0] for row in rows if "sink" in row[1] or "source" in row[1]][::-1]:
            subprocess.run(["pactl", "unload-module", index], env=self.env, capture_output=True)

    def plug_in(self) -> None:
        """Bring back microphone and loudspeaker."""
        for name in ("vc_virtmic", "vc_speaker"):
            self.load("module-null-sink", f"sink_name={name}", "rate=48000", "channels=2", "norewinds=1")
        self.load("module-remap-source", "master=vc_virtmic.monitor", "source_name=vc_mic")

    def play(self, sink: str, x: np.ndarray, rate: int = 48_000) -> None:
        """Play a block to its end."""
        path = self.folder / f"{sink}.wav"
        soundfile.write(path, x, rate, subtype="PCM_16")
        subprocess.run([*PROMPT, "paplay", f"--device={sink}", str(path)], env=self.env, check=True, timeout=60)

    def record(self, source: str, channels: int = 1) -> Recording:
        """Record a source from now on."""
        return Recording(self, source, channels)

    def close(self) -> None:
        """End the daemon."""
        if self._daemon.poll() is None:
            self._daemon.terminate()
            try:
                self._daemon.wait(5)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
