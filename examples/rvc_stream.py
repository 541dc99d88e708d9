"""Speak with an RVC voice: a duplex stream of the sound card, and a callback between its two sides.

    menura models pull
    python examples/rvc_stream.py singer.pth --pitch 12
    python examples/rvc_stream.py --pitch 4 --formant 2        # without a model: pitch and formants alone

The sound card calls with short blocks, which the callback only copies: the model computes in a thread of its own, and
has the time of one of its blocks. With --buffer as long as a model's block it computes in the card's call instead,
which is sooner where the card bears it. Ctrl-C ends.
"""

import argparse
import sys
import threading
from typing import Any

import numpy as np
import sounddevice

from menura import RVC, AudioCallbackConfig, GUIConfig, MenuraError
from menura.live.background import BackgroundCallback
from menura.live.callback import StageCallback


def show(text: str) -> None:
    """A line about what happens."""
    print(text, flush=True)


def prepare(args: argparse.Namespace) -> StageCallback:
    """The voice, loaded, as a callback."""
    rvc = RVC(
        GUIConfig(
            pth_path=args.model or "",
            index_path=args.index or "",
            index_rate=args.index_rate,
            pitch=args.pitch,
            formant=args.formant,
            f0method=args.f0,
            hubert_path=args.hubert or "",
            quality=args.quality,
            block_time=args.block,
        )
    )
    if args.model:
        rvc.load(lambda done, text: show(f"{done:4.0%} {text}"))
    else:
        rvc.model_loaded = rvc.hubert_loaded = True  # nothing to wait for
    return rvc.create_audio_callback(AudioCallbackConfig(sample_rate=args.rate, block_size=args.buffer))


def speak(callback: StageCallback, args: argparse.Namespace) -> None:
    """From the microphone to the loudspeaker, until Ctrl-C."""
    ended, faults = threading.Event(), list[Exception]()

    def called(given: Any, output: Any, _frames: int, _time: Any, status: sounddevice.CallbackFlags) -> None:
        if status:
            print(status, file=sys.stderr)
        try:
            callback(given, output)
        except Exception as error:
            faults.append(error)
            output.fill(0.0)
            raise sounddevice.CallbackAbort from error

    stream = sounddevice.Stream(
        samplerate=args.rate,
        blocksize=args.buffer,
        device=(args.input, args.output),
        channels=1,
        dtype=np.float32,
        callback=called,
        finished_callback=ended.set,
    )
    try:
        with stream:
            late_ms = 1000.0 * (sum(stream.latency) + callback.latency / args.rate)
            show(f"speak; Ctrl-C ends. You are heard about {late_ms:.0f} ms later")
            while not ended.wait(0.2):
                pass
    finally:
        callback.close()
        if isinstance(callback, BackgroundCallback) and (late := callback.stats().late):
            show(f"the model was late for {late / args.rate:.2f} s: try --quality lightest")
    if faults:
        raise faults[0]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="a voice, .pth")
    parser.add_argument("--index", help="its .index")
    parser.add_argument("--index-rate", type=float, default=0.5)
    parser.add_argument("--pitch", type=float, default=0.0, help="semitones")
    parser.add_argument("--formant", type=float, default=0.0, help="semitones")
    parser.add_argument("--f0", default="rmvpe", help="rmvpe, fcpe, swift or tracker")
    parser.add_argument("--quality", default="", help="best, balanced, fast or lightest")
    parser.add_argument("--hubert", help="the content model; by default what 'menura models pull' has got")
    parser.add_argument("--block", type=float, default=0.24, help="new audio for each computation, seconds")
    parser.add_argument("--buffer", type=int, default=512, help="frames of the sound card's blocks")
    parser.add_argument("--rate", type=int, default=48_000)
    parser.add_argument("-i", "--input", help="microphone: its name or a part of it")
    parser.add_argument("-o", "--output", help="loudspeaker")
    args = parser.parse_args()
    try:
        speak(prepare(args), args)
    except KeyboardInterrupt:
        show("ended")
    except (MenuraError, sounddevice.PortAudioError, ValueError) as error:
        sys.exit(f"rvc_stream: {error}")


if __name__ == "__main__":
    main()
