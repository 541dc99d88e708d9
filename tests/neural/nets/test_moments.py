"""A normalisation told by sums over audio, beside the convolution's own output."""

from dataclasses import replace

import numpy as np
import pytest

from menura.errors import ModelError
from menura.neural.nets.config import HubertConfig
from menura.neural.nets.moments import FirstNorm, RunningMoments
from tests.neural import reference_models as slow
from tests.neural.reference import conv
from tests.neural.rvc import assert_same

CONFIG = HubertConfig(
    hidden=24, intermediate=40, heads=3, layers=1, conv_dim=(16, 16), conv_kernel=(10, 3), conv_stride=(5, 2),
    pos_kernel=16, pos_groups=4,
)  # fmt: skip
CASES = {
    "usual": CONFIG,
    "biases": replace(CONFIG, conv_bias=True),
    "far apart": replace(CONFIG, conv_kernel=(4, 3), conv_stride=(6, 2)),
    "three times over": replace(CONFIG, conv_kernel=(11, 3), conv_stride=(4, 2)),
}


def _made(config):
    weights = slow.hubert_weights(config, seed=3)
    return FirstNorm.of(config, weights), {name: array.astype(float) for name, array in weights.items()}


def _convolved(config, weights, x):
    name = "feature_extractor.conv_layers.0.conv"
    return conv(x[None], weights[f"{name}.weight"], weights.get(f"{name}.bias", 0.0), stride=config.conv_stride[0])


def _normal(weights, y):
    """What the network would make of it, in double precision."""
    scale, bias = (weights[f"feature_extractor.conv_layers.0.layer_norm.{part}"] for part in ("weight", "bias"))
    return (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5) * scale[:, None] + bias[:, None]


def _noise(samples, level=0.1, seed=1):
    return (np.random.default_rng(seed).standard_normal(samples) * level + 0.01).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
def test_factor_and_shift_are_the_windows_own_normalisation(case):
    config = CASES[case]
    norm, weights = _made(config)
    wav = np.stack([_noise(4000), _noise(4000, 1e-3, 2)])
    factors, shifts = norm.over(wav)
    for window, factor, shift in zip(wav, factors, shifts, strict=True):
        y = _convolved(config, weights, window.astype(float))
        assert_same(case, y * factor[:, None] + shift[:, None], _normal(weights, y))


@pytest.mark.parametrize("case", CASES)
def test_a_stream_is_normalised_as_all_it_heard(case):
    config = CASES[case]
    norm, weights = _made(config)
    block = 4 * config.conv_stride[0] * 30
    x = _noise(10 * block)
    running = RunningMoments(norm, 1e6, 16_000)
    for at in range(0, len(x), block):
        running.hear(x[at : at + block])
    factor, shift = running.affine()
    taps, stride = config.conv_kernel[0], config.conv_stride[0]
    before = np.zeros(stride * (-(-taps // stride) - 1))  # what the first pieces begin with
    y = _convolved(config, weights, np.concatenate([before, x]))
    assert_same(case, y * factor.T + shift.T, _normal(weights, y))


def test_what_is_silent_does_not_count():
    norm, _ = _made(CONFIG)
    with_pauses, without = (RunningMoments(norm, 1.0, 16_000) for _ in range(2))
    for seed in range(5):
        block = _noise(4000, seed=seed)
        block[-5:] = 0.0  # no piece has both
        for running in (with_pauses, without):
            running.hear(block)
        for _ in range(20):
            with_pauses.hear(np.zeros(4000, np.float32))
    np.testing.assert_array_equal(with_pauses.affine(), without.affine())


def test_what_was_heard_long_ago_is_forgotten():
    norm, _ = _made(CONFIG)
    changed, new = (RunningMoments(norm, 1.0, 16_000) for _ in range(2))
    for seed in range(20):
        changed.hear(_noise(4000, 1.0, seed))
    for seed in range(80):  # twenty seconds
        for running in (changed, new):
            running.hear(_noise(4000, 0.01, seed))
    np.testing.assert_allclose(changed.affine()[0], new.affine()[0], rtol=1e-4)


def test_before_anything_was_heard_it_is_finite():
    norm, _ = _made(CONFIG)
    running = RunningMoments(norm, 1.0, 16_000)
    running.hear(np.zeros(4000, np.float32))
    assert all(np.isfinite(part).all() and part.shape == (1, 16) for part in running.affine())


def test_a_model_that_normalises_each_place_asks_for_nothing():
    config = replace(CONFIG, conv_norm="layer")
    assert FirstNorm.of(config, slow.hubert_weights(config, seed=3)) is None


def test_weights_that_do_not_fit_are_refused():
    weights = slow.hubert_weights(CONFIG, seed=3)
    with pytest.raises(ModelError, match="its config says"):
        FirstNorm.of(replace(CONFIG, conv_kernel=(9, 3)), weights)
    del weights["feature_extractor.conv_layers.0.layer_norm.bias"]
    with pytest.raises(ModelError, match=r"checkpoint has no .*layer_norm\.bias"):
        FirstNorm.of(CONFIG, weights)
