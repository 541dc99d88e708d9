import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from menura.neural.cache import NetworkCache, Recipe, fingerprint
from menura.neural.content import ContentModel
from menura.neural.nets.graph import MODEL_FILE, WEIGHTS_FILE, Graph, Network
from menura.neural.options import RuntimeOptions
from menura.neural.runtime import open_session
from menura.neural.synthesizer import Synthesizer
from tests.neural.rvc import arrays, assert_same, content, voice

WIDTH = 100


def _network(seed: int = 0) -> Network:
    weights = {"w": np.random.default_rng(seed).standard_normal((WIDTH, WIDTH)).astype(np.float32)}
    g = Graph("kept", weights)
    g.output("y", g.op("MatMul", g.input("x", ("n", WIDTH)), g.weight("w")), ("n", WIDTH))
    return g.build()


def _run(network: Network, folder: Path | None) -> np.ndarray:
    session = open_session(network, RuntimeOptions(threads=1, cache=folder))
    return session.run(x=np.ones((3, WIDTH), np.float32))[0]


def _entries(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_a_network_is_the_same_before_and_after_it_is_kept(tmp_path):
    plain, first, second = _run(_network(), None), _run(_network(), tmp_path), _run(_network(), tmp_path)
    np.testing.assert_array_equal(first, plain)
    np.testing.assert_array_equal(second, plain)
    (entry,) = tmp_path.iterdir()
    assert _entries(entry) == {MODEL_FILE, WEIGHTS_FILE}


@pytest.mark.parametrize("name", ["v2_48k_f0", "v2_40k_nof0"])
def test_a_voice_that_was_kept_is_the_official_one(name, tmp_path):
    checkpoint, held = voice(name), arrays(name)
    options = RuntimeOptions(threads=1, cache=tmp_path, native=False)
    for _ in range(2):
        model = Synthesizer(checkpoint.config, checkpoint.weights, options)
        speaker = model.speaker(int(held["sid"][0]))
        ours = model.convert(held["phone"], held.get("pitchf"), speaker, pitch=held.get("pitch"))
        assert_same(name, ours[0], held["offline_zero"])
    assert len(_entries(tmp_path)) == 3


@pytest.mark.parametrize("int8", [False, True])
def test_a_content_model_that_was_kept_is_the_same(int8, tmp_path):
    checkpoint, wav = content("hubert_tiny"), arrays("hubert_tiny")["wav"][None]
    options = RuntimeOptions(threads=1, cache=tmp_path)
    made = [ContentModel(checkpoint.config, checkpoint.weights, int8=int8, options=options) for _ in range(2)]
    np.testing.assert_array_equal(made[0].features(wav), made[1].features(wav))


def test_a_network_that_is_noted_is_not_made_again(tmp_path, caplog):
    made = []

    class Weights(dict):
        identity = "a file"

    def recipe(weights, how=""):
        def make():
            made.append(1)
            return _network()

        return Recipe.of("kept", weights, make, how)

    def run(given):
        session = open_session(given, RuntimeOptions(threads=1, cache=tmp_path))
        return session.run(x=np.ones((3, WIDTH), np.float32))[0]

    plain = _run(_network(), None)
    for _ in range(3):
        np.testing.assert_array_equal(run(recipe(Weights())), plain)
    assert len(made) == 1
    for given in (recipe(Weights(), "another way"), recipe({}), recipe({})):
        np.testing.assert_array_equal(run(given), plain)
    assert len(made) == 4
    (entry,) = (place for place in tmp_path.iterdir() if place.is_dir())
    (entry / MODEL_FILE).write_bytes(b"")
    with caplog.at_level(logging.WARNING, "menura"):
        np.testing.assert_array_equal(run(recipe(Weights())), plain)
    assert "kept was kept damaged" in caplog.text
    assert len(made) == 5
    for note in tmp_path.glob("*.entry"):
        note.write_text("../elsewhere\n")
    np.testing.assert_array_equal(run(recipe(Weights())), plain)


def test_other_weights_are_another_entry(tmp_path):
    assert not np.array_equal(_run(_network(0), tmp_path), _run(_network(1), tmp_path))
    assert len(_entries(tmp_path)) == 2


@pytest.mark.parametrize("change", ["swap rows", "swap columns", "one bit", "runtime", "nodes"])
def test_whatever_changes_changes_the_fingerprint(change):
    before, network, runtime = fingerprint(_network(), "1"), _network(), "1"
    w = network.weights["w"]
    if change == "swap rows":
        w[[0, 50]] = w[[50, 0]]
    elif change == "swap columns":
        w[:, [0, 50]] = w[:, [50, 0]]
    elif change == "one bit":
        w.view(np.uint32)[99, 99] ^= 1
    elif change == "runtime":
        runtime = "2"
    else:
        network = replace(network, model=network.model + b" ")
    assert fingerprint(network, runtime) != before
    assert fingerprint(_network(), "1") == before


@pytest.mark.parametrize("name", [MODEL_FILE, WEIGHTS_FILE])
def test_a_damaged_entry_is_made_again(name, tmp_path, caplog):
    plain = _run(_network(), tmp_path)
    (entry,) = tmp_path.iterdir()
    (entry / name).write_bytes(b"")
    with caplog.at_level(logging.WARNING, "menura"):
        np.testing.assert_array_equal(_run(_network(), tmp_path), plain)
    assert "kept was kept damaged" in caplog.text
    assert (entry / name).stat().st_size > 100


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with caplog.at_level(logging.WARNING, "menura"):
        np.testing.assert_array_equal(_run(_network(), blocked), _run(_network(), None))
    assert "kept is not kept" in caplog.text


def test_an_entry_that_failed_half_way_is_gone(tmp_path):
    with pytest.raises(RuntimeError, match="half way"), NetworkCache(tmp_path).add("key") as new:
        (new / "part").write_bytes(b"x")
        raise RuntimeError("half way")
    assert _entries(tmp_path) == set()


def test_entries_not_used_for_longest_go_when_there_are_too_many_bytes(tmp_path):
    import os

    cache = NetworkCache(tmp_path, limit_bytes=250)
    for age, key in enumerate(("old", "used", "new")):
        with cache.add(key) as new:
            (new / "part").write_bytes(b"x" * 100)
        os.utime(tmp_path / key, (1000 + age, 1000 + age))
    assert _entries(tmp_path) == {"used", "new"}
    assert cache.find("old") is None
    os.utime(tmp_path / "new", (500, 500))
    assert cache.find("used") is not None
    with cache.add("newest") as new:
        (new / "part").write_bytes(b"x" * 100)
    assert _entries(tmp_path) == {"used", "newest"}
