"""A patch whose parts are on several machines: each has a manager of its own, joined by a real nats-server."""

import asyncio
from pathlib import Path

import numpy as np

from menura.audio.files import read_audio
from menura.channels.manager import ChannelManager
from menura.channels.patch import Patch
from menura.channels.sources import array_streams
from menura.dsp.dynamics import Limiter
from menura.dsp.shift import PitchShift
from menura.dsp.stage import process_whole
from tests.broker import Broker
from tests.streaming import speechlike

RATE = 16_000


def test_parts_on_three_machines_are_in_sync_and_end_together(tmp_path: Path) -> None:
    x = speechlike(4 * RATE, RATE)

    async def run(url: str) -> None:
        async with ChannelManager(url) as here, ChannelManager(url) as there, ChannelManager(url) as yonder:
            sender, changer, recorder = Patch(here), Patch(there), Patch(yonder)
            sender.source(array_streams(x, RATE, chunk_s=0.02, at_s=50.0), to="voice")
            changer.stage("voice", PitchShift(RATE, pitch_st=3.0), to="high")
            recorder.stage("voice", Limiter(RATE), to="plain")
            recorder.mix(["high", "plain"], RATE, to="both")
            recorder.record("both", tmp_path / "both.wav")
            await recorder.start()
            await changer.start()
            await sender.run()
            async with asyncio.timeout(60):
                await asyncio.gather(changer.wait(), recorder.wait())

    with Broker() as broker:
        asyncio.run(run(broker.url))
    y, _ = read_audio(tmp_path / "both.wav")
    want = process_whole(PitchShift(RATE, pitch_st=3.0), x) + process_whole(Limiter(RATE), x)
    np.testing.assert_allclose(y, want, atol=1e-6)
