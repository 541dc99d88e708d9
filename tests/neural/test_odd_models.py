"""Content and pitch networks of sizes that no fixture has, beside slow ones written apart."""

from dataclasses import replace

import numpy as np
import pytest

from menura.errors import ModelError
from menura.neural.content import ContentModel
from menura.neural.nets.config import HubertConfig, RmvpeConfig
from menura.neural.nets.rmvpe import rmvpe
from menura.neural.pitch import RmvpePitch
from menura.neural.runtime import open_session
from tests.neural import reference_models as slow
from tests.neural.rvc import ONE_THREAD, WholeContent, arrays, assert_same, rmvpe_checkpoint

SMALL = HubertConfig(
    hidden=24, intermediate=40, heads=3, layers=3, conv_dim=(16,) * 7, pos_kernel=16, pos_groups=4, eps=1e-5
)  # fmt: skip
HUBERTS = {
    "usual": SMALL,
    "odd positions": replace(SMALL, pos_kernel=7, pos_groups=1),
    "large: norms first, at every convolution": replace(SMALL, conv_norm="layer", conv_bias=True, pre_norm=True),
    "norms at every convolution": replace(SMALL, conv_norm="layer"),
    "biases": replace(SMALL, conv_bias=True),
    "other strides": replace(
        SMALL, conv_dim=(8, 12, 16, 20), conv_kernel=(10, 4, 3, 2), conv_stride=(5, 4, 3, 2), heads=1, eps=1e-3
    ),
}
TINY = RmvpeConfig(blocks=2, levels=3, inter_levels=2, channels=2, gru_layers=1, gru_hidden=12, bins=40, mels=16)
RMVPES = {
    "several blocks": TINY,
    "two recurrent layers": replace(TINY, gru_layers=2, blocks=1),
    "no recurrent layer": replace(TINY, gru_layers=0),
    "two levels": replace(TINY, levels=2, inter_levels=4, channels=3, blocks=1),
}


@pytest.mark.parametrize("layer", [1, 3])
@pytest.mark.parametrize("case", HUBERTS)
def test_a_content_model_of_odd_sizes_is_the_slow_one(case, layer):
    config = HUBERTS[case]
    weights = slow.hubert_weights(config, seed=4)
    wav = np.random.default_rng(1).standard_normal(2000)
    ours = WholeContent(config, weights, layer=layer)(wav[None])[0]
    double = {name: array.astype(np.float64) for name, array in weights.items()}
    assert_same(case, ours, slow.hubert(config, double, wav.astype(np.float32).astype(np.float64), layer))


@pytest.mark.parametrize("case", HUBERTS)
def test_a_content_model_of_odd_sizes_is_near_in_eight_bits(case):
    config = HUBERTS[case]
    weights = slow.hubert_weights(config, seed=4)
    wav = np.random.default_rng(1).standard_normal((1, 2000)).astype(np.float32)
    single = ContentModel(config, weights, options=ONE_THREAD).features(wav)
    eight = ContentModel(config, weights, int8=True, options=ONE_THREAD).features(wav)
    assert_same(case, eight, single, floor_db=22.0)


@pytest.mark.parametrize("case", RMVPES)
def test_a_pitch_network_of_odd_sizes_is_the_slow_one(case):
    config = RMVPES[case]
    weights = slow.rmvpe_weights(config, seed=2)
    mel = np.random.default_rng(1).standard_normal((24, config.mels)).astype(np.float32)
    ours = open_session(rmvpe(config, weights), ONE_THREAD).run(mel=mel[None])[0][0]
    double = {name: array.astype(np.float64) for name, array in weights.items()}
    assert_same(case, ours, slow.rmvpe(config, double, mel.astype(np.float64)))


def test_the_slow_pitch_network_is_the_official_one():
    checkpoint, held = rmvpe_checkpoint(), arrays("rmvpe_tiny")
    double = {name: np.asarray(array, np.float64) for name, array in checkpoint.weights.items()}
    mel = np.pad(held["mel"].T.astype(np.float64), ((0, -held["mel"].shape[1] % 32), (0, 0)))
    assert_same("slow", slow.rmvpe(checkpoint.config, double, mel)[: len(held["hidden"])], held["hidden"])


def test_frames_that_fill_no_stride_are_padded():
    config = RMVPES["several blocks"]
    weights = slow.rmvpe_weights(config, seed=2)
    model = RmvpePitch(config, weights, ONE_THREAD)
    mel = np.random.default_rng(1).standard_normal((2, 21, config.mels)).astype(np.float32)
    padded = np.pad(mel, ((0, 0), (0, 3), (0, 0)))
    np.testing.assert_array_equal(model.salience(mel), model.salience(padded)[:, :21])


def test_a_pitch_network_whose_weights_do_not_fit_its_sizes_is_refused():
    config = RMVPES["several blocks"]
    weights = slow.rmvpe_weights(config, seed=2)
    with pytest.raises(ModelError, match="checkpoint has no unet"):
        rmvpe(replace(config, blocks=3), weights)
    with pytest.raises(ModelError, match="its config says"):
        rmvpe(replace(config, channels=4), weights)
    with pytest.raises(ModelError, match="cannot be halved"):
        replace(config, mels=20)
