from dataclasses import replace

import numpy as np
import pytest

from menura.errors import FormatError, ModelError
from menura.neural.content import ContentModel
from menura.neural.files.hubert import read_hubert
from menura.neural.nets.hubert import hubert_front, hubert_transformer
from tests.neural.rvc import FIXTURES, ONE_THREAD, WholeContent, arrays, assert_same, content, content_model


@pytest.mark.parametrize(("name", "version"), [("hubert_tiny", "v1"), ("hubert_tiny", "v2"), ("hubert_tiny768", "v2")])
def test_features_are_the_official_networks(name, version):
    held = arrays(name)
    ours = content_model(name, version).features(held["wav"][None])
    assert_same(f"{name} {version}", ours[0], held[version])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_features_are_the_same_from_fairseqs_file(version):
    held, checkpoint = arrays("hubert_tiny"), read_hubert(FIXTURES / "hubert_tiny_fairseq.pt", heads=4)
    model = ContentModel(checkpoint.config, checkpoint.weights, version=version, options=ONE_THREAD)
    assert_same(f"fairseq {version}", model.features(held["wav"][None])[0], held[version])


@pytest.mark.parametrize("name", ["hubert_tiny", "hubert_tiny768"])
def test_front_and_transformer_are_the_official_networks_each(name):
    held, checkpoint = arrays(name), content(name)
    model = content_model(name, "v2")
    rows = model.front(held["wav"][None], *model.norm.over(held["wav"][None]))
    assert_same(f"{name} front", rows[0], _projected(checkpoint, held["conv_features"].T))
    assert_same(f"{name} rest", model.transform(rows)[0][0], held["v2"])


def _projected(checkpoint, conv):
    """What the transformer is given, of the convolutions' output."""
    w = {
        name: np.asarray(checkpoint.weights[f"feature_projection.{name}"], float)
        for name in ("layer_norm.weight", "layer_norm.bias", "projection.weight", "projection.bias")
    }
    x = conv.astype(float)
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + checkpoint.config.eps)
    x = x * w["layer_norm.weight"] + w["layer_norm.bias"]
    return x @ w["projection.weight"].T + w["projection.bias"]


def test_a_batch_of_rows_is_its_members_one_by_one_each_with_its_own_normalisation():
    model, wav = content_model("hubert_tiny", "v1"), arrays("hubert_tiny")["wav"]
    batch = np.stack([wav, wav[::-1] * 0.01, np.roll(wav, 4000)])
    affine = model.norm.over(batch)
    rows = model.front(batch, *affine)
    together, kept = model.transform(rows)
    for index in range(3):
        one = slice(index, index + 1)
        alone = model.front(batch[one], affine[0][one], affine[1][one])
        assert_same(f"rows of {index}", rows[index], alone[0])
        features, own = model.transform(alone)
        assert_same(f"features of {index}", together[index], features[0])
        assert_same(f"keys and values of {index}", kept[index], own[0])


@pytest.mark.parametrize(("name", "version"), [("hubert_tiny", "v1"), ("hubert_tiny768", "v2")])
def test_the_end_of_a_window_is_that_of_the_whole_given_its_beginning(name, version):
    model, wav = content_model(name, version), arrays(name)["wav"][None, :48_000]
    rows = model.front(wav, *model.norm.over(wav))
    whole, kept = model.transform(rows)
    for new in (5, 20, rows.shape[1] - 1):
        at = rows.shape[1] - new
        before = np.pad(rows, ((0, 0), (model.before, 0), (0, 0)))[:, at : at + model.before]
        end, told = model.transform(rows[:, at:], before, kept[:, :, :at])
        assert_same(f"last {new}", end, whole[:, at:])
        assert_same(f"keys and values of the last {new}", told, kept[:, :, at:])


def test_a_batch_is_its_members_one_by_one():
    model, wav = content_model("hubert_tiny", "v1"), arrays("hubert_tiny")["wav"]
    batch = np.stack([wav, wav[::-1] * 0.3, np.roll(wav, 4000)])
    together = model.features(batch)
    for index in range(3):
        assert_same(f"member {index}", together[index], model.features(batch[index : index + 1])[0])


@pytest.mark.parametrize("samples", [400, 719, 720, 5000])
def test_every_length_gives_the_declared_frames(samples):
    model = content_model("hubert_tiny", "v2")
    features = model.features(np.ones((1, samples), np.float32))
    assert features.shape == (1, model.config.frames(samples), model.channels)
    assert np.isfinite(features).all()


@pytest.mark.parametrize("shape", [(1, 399), (1, 0), (5000,)])
def test_a_window_shorter_than_a_frame_is_refused(shape):
    with pytest.raises(FormatError, match="at least 25 ms"):
        content_model("hubert_tiny", "v2").features(np.zeros(shape, np.float32))


def test_silence_stays_finite():
    assert np.isfinite(content_model("hubert_tiny", "v2").features(np.zeros((1, 8000), np.float32))).all()


def test_eight_bits_are_near_single_precision():
    held, checkpoint = arrays("hubert_tiny768"), content("hubert_tiny768")
    model = ContentModel(checkpoint.config, checkpoint.weights, int8=True, options=ONE_THREAD)
    assert_same("int8", model.features(held["wav"][None])[0], held["v2"], floor_db=30.0)


def test_layers_and_projections_that_are_not_there_are_refused():
    checkpoint = content("hubert_tiny768")
    with pytest.raises(ModelError, match="has 1 layers: there is no layer 9"):
        hubert_transformer(checkpoint.config, checkpoint.weights, layer=9)
    with pytest.raises(ModelError, match="no final_proj"):
        hubert_transformer(replace(checkpoint.config, projection=0), checkpoint.weights, project=True)


def test_a_first_layer_in_front_of_all_others_is_the_earlier_output():
    # a layer's output does not depend on those after it: layer 9 of 12 is the last of a network of 9
    checkpoint, wav = content("hubert_tiny"), arrays("hubert_tiny")["wav"][None]
    ninth = WholeContent(checkpoint.config, checkpoint.weights, layer=9)
    short = WholeContent(replace(checkpoint.config, layers=9), checkpoint.weights)
    np.testing.assert_array_equal(ninth(wav), short(wav))


def test_half_precision_is_near_single():
    checkpoint, held = content("hubert_tiny"), arrays("hubert_tiny")
    half = WholeContent(checkpoint.config, checkpoint.weights, half=True)
    assert_same("half", half(held["wav"][None])[0], held["v2"], floor_db=45.0)
    with pytest.raises(ModelError, match="not both"):
        hubert_front(checkpoint.config, checkpoint.weights, int8=True, half=True)
