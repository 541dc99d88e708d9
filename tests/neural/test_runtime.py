import gc
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest

from menura.errors import ConfigError, FormatError, MissingExtraError, ModelError
from menura.neural.nets.graph import Graph, Network
from menura.neural.nets.hubert import hubert_front, hubert_transformer
from menura.neural.ort import OrtSession
from menura.neural.runtime import Provider, RuntimeOptions, open_session, providers
from tests.neural.rvc import ONE_THREAD, WholeContent, arrays, assert_same, content

HAS_OPENVINO = find_spec("openvino") is not None


def _small(rows: int = 4) -> Network:
    weights = {"w": np.arange(4 * rows, dtype=np.float32).reshape(rows, 4), "b": np.ones(4, np.float64)}
    g = Graph("small", weights)
    y = g.op("MatMul", g.input("x", ("batch", rows)), g.weight("w", (rows, 4)))
    g.output("y", g.op("Add", y, g.weight("b")), ("batch", 4))
    return g.build()


def test_a_network_runs_after_its_arrays_are_gone():
    network = _small()
    session = open_session(network, ONE_THREAD)
    for array in network.weights.values():
        array[...] = np.nan
    del network
    gc.collect()
    assert session.inputs == ("x",)
    assert session.outputs == ("y",)
    np.testing.assert_array_equal(session.run(x=np.eye(4, dtype=np.float32)[:2])[0], [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_the_model_holds_no_weights_and_its_standalone_form_all():
    weights = {"w": np.zeros((300, 300), np.float32)}
    g = Graph("large", weights)
    g.output("y", g.op("MatMul", g.input("x", ("n", 300)), g.weight("w")), ("n", 300))
    network = g.build()
    assert network.weight_bytes == 360_000
    assert len(network.model) < 1000
    assert len(network.standalone()) > 360_000


def test_the_arithmetic_of_the_calling_thread_stays_as_it_was():
    session = open_session(_small(), ONE_THREAD)
    session.run(x=np.ones((1, 4), np.float32))
    smallest = np.full(4, np.finfo(np.float32).smallest_subnormal)
    assert (smallest * np.float32(1.0) > 0).all()


def test_a_standalone_model_is_valid_onnx():
    import onnx

    checkpoint = content("hubert_tiny")
    for network in (hubert_front, hubert_transformer):
        onnx.checker.check_model(network(checkpoint.config, checkpoint.weights).standalone(), full_check=True)


def test_several_threads_get_what_one_gets():
    checkpoint, wav = content("hubert_tiny"), arrays("hubert_tiny")["wav"]
    whole = WholeContent(checkpoint.config, checkpoint.weights, options=RuntimeOptions(threads=2))
    windows = [np.roll(wav, 1000 * index)[None, : 4000 + 320 * (index % 3)] for index in range(12)]
    alone = [whole(window) for window in windows]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(whole, windows))
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_binding_writes_into_the_arrays_it_was_given():
    session = OrtSession(_small(), ONE_THREAD)
    x, y = np.ones((2, 4), np.float32), np.zeros((2, 4), np.float32)
    binding = session.bind({"x": x}, {"y": y})
    binding.run()
    np.testing.assert_array_equal(y, session.run(x=x)[0])
    x[:] = 0
    binding.run()
    np.testing.assert_array_equal(y, np.ones((2, 4)))


def test_a_binding_of_wrong_arrays_is_refused():
    session = OrtSession(_small(), ONE_THREAD)
    x, y = np.ones((2, 4), np.float32), np.zeros((2, 4), np.float32)
    with pytest.raises(FormatError, match="small takes x, not z"):
        session.bind({"z": x}, {"y": y})
    with pytest.raises(FormatError, match="small gives y, not z"):
        session.bind({"x": x}, {"z": y})
    with pytest.raises(FormatError, match="x is not contiguous"):
        session.bind({"x": np.ones((4, 2), np.float32).T}, {"y": y})
    with pytest.raises(FormatError, match="does not take these shapes"):
        session.bind({"x": np.ones((2, 3), np.float32)}, {"y": y}).run()


@pytest.mark.parametrize("x", [np.ones((2, 5), np.float32), np.ones((2, 4), np.float64), np.ones(4, np.float32)])
def test_an_input_of_a_wrong_shape_or_type_is_refused(x):
    with pytest.raises(FormatError, match="small does not take x float"):
        open_session(_small(), ONE_THREAD).run(x=x)


def test_a_failure_inside_a_network_is_not_the_inputs_fault():
    g = Graph("folding", {})
    g.output("y", g.op("Reshape", g.input("x", ("n",)), g.ints(3, -1)), (3, "m"))
    session = open_session(g.build(), ONE_THREAD)
    assert session.run(x=np.ones(6, np.float32))[0].shape == (3, 2)
    with pytest.raises(ModelError, match=r"folding failed on x float32 \[7\]"):
        session.run(x=np.ones(7, np.float32))


def test_missing_and_unknown_inputs_are_refused():
    session = open_session(_small(), ONE_THREAD)
    with pytest.raises(FormatError, match="small takes x, not nothing"):
        session.run()
    with pytest.raises(FormatError, match="small takes x, not x, z"):
        session.run(x=np.ones((1, 4), np.float32), z=np.ones(1, np.float32))


def test_a_broken_model_is_refused():
    with pytest.raises(ModelError, match="broken: ONNX Runtime refuses it"):
        open_session(Network("broken", b"\x00\x01", {}), ONE_THREAD)


def test_a_provider_that_is_not_installed_is_told_with_what_is():
    assert Provider.CPU in providers()
    missing = next(p for p in (Provider.CUDA, Provider.DIRECTML, Provider.COREML) if p not in providers())
    with pytest.raises(ConfigError, match=rf"{missing} needs onnxruntime.*here there is .*cpu"):
        open_session(_small(), RuntimeOptions(missing))


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="no provider 'abacus'; there are cpu, cuda"):
        RuntimeOptions("abacus")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="0 or above"):
        RuntimeOptions(threads=-1)
    with pytest.raises(ConfigError, match="bfloat16 is for the providers cpu and openvino"):
        RuntimeOptions("cuda", bfloat16=True)
    with pytest.raises(ConfigError, match="float16 is for GPUs"):
        RuntimeOptions(float16=True)
    assert 1 <= RuntimeOptions().cores <= 8
    assert RuntimeOptions(threads=3).cores == 3


@pytest.mark.skipif(HAS_OPENVINO, reason="OpenVINO is installed")
def test_openvino_says_how_to_install_it():
    with pytest.raises(MissingExtraError, match=r"pip install 'menura\[openvino\]'"):
        open_session(_small(), RuntimeOptions(Provider.OPENVINO))


@pytest.mark.skipif(not HAS_OPENVINO, reason="OpenVINO is not installed")
def test_openvino_runs_the_same_network():
    checkpoint, held = content("hubert_tiny"), arrays("hubert_tiny")
    whole = WholeContent(checkpoint.config, checkpoint.weights, options=RuntimeOptions(Provider.OPENVINO, threads=1))
    assert whole.rest.inputs == ("rows",)
    with ThreadPoolExecutor(3) as pool:
        for features in pool.map(lambda _: whole(held["wav"][None]), range(3)):
            assert_same("openvino", features[0], held["v2"])
    with pytest.raises(FormatError, match="hubert-transformer does not take"):
        whole.rest.run(rows=np.zeros(100, np.float32))
