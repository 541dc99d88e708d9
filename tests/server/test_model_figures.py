"""How voices that are models keep up, as Prometheus reads it."""

import gc

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest

from menura.live.making import close_schedulers, make_stage, paces, scheduler_stats
from menura.server.model_figures import ModelFigures
from tests.utterances import speech
from tests.voices.test_rvc import voice


def told():
    registry = CollectorRegistry()
    registry.register(ModelFigures())
    lines = generate_latest(registry).decode().splitlines()
    return {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}


def test_voices_that_are_models_are_counted_while_they_live():
    close_schedulers()
    gc.collect()  # voices of other tests, which would be missing later
    before = told()
    assert before["menura_model_computations_total"] == before["menura_model_waiting"] == 0.0
    stage = make_stage(voice(context_ms=800.0), 48_000)
    still = make_stage(voice(adapt=False), 48_000)
    stage.process(speech(48_000, "am_michael")[:24_000])
    assert told()["menura_model_voices"] == before["menura_model_voices"] + 1
    during = told()
    assert during["menura_model_computations_total"] == scheduler_stats().computed > 0
    assert during["menura_model_voices_shortened"] in (0.0, 1.0)  # a busy machine may have been too slow already
    (model,) = stage._models
    for _ in range(12):  # blocks that take ten times as long as they last
        model._pace._governor.observe(1200.0, 120.0)
    assert told()["menura_model_voices_shortened"] == 1.0
    assert [pace.context_ms for pace in paces() if pace.longest_ms == 800.0] == [500.0]
    assert np.all(np.isfinite(still.process(speech(48_000, "am_michael")[:4800])))
    del stage, model
    assert told()["menura_model_voices"] == before["menura_model_voices"]
