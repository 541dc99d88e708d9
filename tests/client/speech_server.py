"""The Realtime server of the speech-to-speech package, with a brain of ours behind it: run as a program.

The server, its protocol and its resampling are that package's. The brain finds speech by loudness and answers with a
tone, where that package would run models.
"""

import queue
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

ANSWER_MS = 1000
CHUNK_MS = 32


class Brain:
    """What stands between the queues of one session."""

    def __init__(self, index: int, keep: str | None = None) -> None:
        from speech_to_speech.api.openai_realtime.pipeline_unit import PipelineUnit
        from speech_to_speech.api.openai_realtime.service import RealtimeService
        from speech_to_speech.pipeline.cancel_scope import CancelScope

        listen, prompts = threading.Event(), queue.Queue()
        self.unit = PipelineUnit(
            index=index,
            service=RealtimeService(text_prompt_queue=prompts, should_listen=listen),
            cancel_scope=CancelScope(),
            should_listen=listen,
            response_playing=threading.Event(),
            input_queue=queue.Queue(),
            output_queue=queue.Queue(),
            text_output_queue=queue.Queue(),
            text_prompt_queue=prompts,
            handlers=[],
        )
        self.heard, self.quiet, self.speaking = 0, 0, False
        self.keep = Path(keep).open("ab", buffering=0) if keep else None  # noqa: SIM115 - until the process ends
        for job in (self.listen, self.answer):
            threading.Thread(target=job, daemon=True).start()

    def listen(self) -> None:
        from speech_to_speech.pipeline.control import SESSION_END, is_control_message

        while True:
            item = self.unit.input_queue.get()
            if is_control_message(item, SESSION_END.kind):
                self.heard, self.quiet, self.speaking = 0, 0, False
                self.unit.output_queue.put(item)
            else:
                self.hear(np.frombuffer(item[0], "<i2"))

    def hear(self, chunk: np.ndarray) -> None:
        from speech_to_speech.pipeline.events import (
            SpeechStartedEvent,
            SpeechStoppedEvent,
            TranscriptionCompletedEvent,
        )

        if self.keep is not None:
            self.keep.write(chunk.tobytes())
        begin_ms = self.heard * CHUNK_MS
        self.heard += 1
        loud = int(np.abs(chunk.astype(np.int32)).max()) > 1000
        self.quiet = 0 if loud else self.quiet + 1
        tell = self.unit.text_output_queue.put
        if loud and not self.speaking:
            self.speaking = True
            tell(SpeechStartedEvent(audio_start_ms=begin_ms, turn_id=f"t{begin_ms}", turn_revision=0))
            self.turn = f"t{begin_ms}"
        elif self.speaking and self.quiet >= 20:
            self.speaking = False
            end_ms = begin_ms + CHUNK_MS
            tell(SpeechStoppedEvent(audio_end_ms=end_ms, duration_s=0.1, turn_id=self.turn, turn_revision=0))
            tell(TranscriptionCompletedEvent(transcript="heard you", turn_id=self.turn, turn_revision=0))

    def answer(self) -> None:
        from speech_to_speech.pipeline.messages import AUDIO_RESPONSE_DONE, AudioOutput

        tone = (8000 * np.sin(2 * np.pi * 440 / 16_000 * np.arange(16 * ANSWER_MS))).astype("<i2")
        while True:
            request = self.unit.text_prompt_queue.get()
            key, generation = request.response_key, self.unit.cancel_scope.generation
            for i in range(0, len(tone), 1600):
                part = AudioOutput(audio=tone[i : i + 1600].tobytes(), response_key=key, cancel_generation=generation)
                self.unit.output_queue.put(part)
            done = AudioOutput(audio=AUDIO_RESPONSE_DONE, response_key=key, cancel_generation=generation)
            self.unit.output_queue.put(done)


def main(sessions: int, keep: str | None = None) -> None:
    import uvicorn
    from speech_to_speech.api.openai_realtime.websocket_router import create_app

    app = create_app([Brain(index, keep).unit for index in range(sessions)], threading.Event())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdout.write(f"listening at ws://127.0.0.1:{listener.getsockname()[1]}/v1/realtime\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


@contextmanager
def speech_server(sessions: int, keep: str | None = None) -> Iterator[str]:
    """Start it in a process of its own; gives its address. What it hears is kept as int16 at 16 kHz, if so wanted."""
    command = [sys.executable, "-m", "tests.client.speech_server", str(sessions), *([keep] if keep else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"ws://\S+", process.stdout.readline())
        assert found, "the server did not start"
        yield found[0]
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
