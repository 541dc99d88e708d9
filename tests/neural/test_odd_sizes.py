"""Sizes that no fixture has, beside a slow network written apart."""

from dataclasses import replace

import numpy as np
import pytest

from menura.errors import FormatError, ModelError
from menura.neural.nets.config import SynthesizerConfig
from menura.neural.nets.decoder import decoder
from menura.neural.options import RuntimeOptions
from menura.neural.runtime import open_session
from menura.neural.synthesizer import Synthesizer, coarse_pitch
from tests.neural import reference
from tests.neural.rvc import ONE_THREAD, VOICES, arrays, assert_same, synthesizer, voice

USUAL = SynthesizerConfig(
    version="v2", f0=True, rate=32_000, features=768, inter=8, hidden=16, filter=24, heads=2, layers=2, kernel=3,
    resblock="1", resblock_kernels=(3, 7, 11), resblock_dilations=((1, 3, 5),) * 3, upsample_rates=(10, 8, 2, 2),
    upsample_initial=32, upsample_kernels=(20, 16, 4, 4), speakers=3, gin=6,
)  # fmt: skip
ODD = {
    "v1 32k": replace(
        USUAL, version="v1", features=256, upsample_rates=(10, 4, 2, 2, 2), upsample_kernels=(16, 16, 4, 4, 4)
    ),
    "v1 48k without pitch": replace(
        USUAL, version="v1", features=256, f0=False, rate=48_000, upsample_rates=(10, 6, 2, 2, 2),
        upsample_kernels=(16, 16, 4, 4, 4),
    ),
    "blocks of type 2": replace(
        USUAL, resblock="2", resblock_kernels=(3, 5), resblock_dilations=((1, 2), (2, 6)), upsample_initial=16
    ),
    "blocks of type 2, even kernels": replace(
        USUAL, resblock="2", resblock_kernels=(4, 2, 7), resblock_dilations=((2, 6), (4, 2), (1, 2)),
        upsample_initial=16
    ),
    "no layers": replace(USUAL, layers=0),
    "one head, wide kernel": replace(USUAL, heads=1, kernel=5, layers=3, filter=20),
    "even kernel, four heads": replace(USUAL, heads=4, kernel=4, layers=1),
    "kernel of one": replace(USUAL, kernel=1, layers=1),
    "one speaker, narrow": replace(USUAL, speakers=1, gin=3, inter=6, hidden=12, features=100),
    "three stages": replace(
        USUAL, rate=24_000, upsample_rates=(10, 6, 4), upsample_kernels=(20, 12, 8), resblock_kernels=(3,),
        resblock_dilations=((1, 2, 4, 8),),
    ),
    "kernels as wide as their rates": replace(USUAL, upsample_kernels=(10, 8, 2, 2)),
    "odd kernels without pitch": replace(USUAL, f0=False, upsample_kernels=(17, 16, 3, 4)),
}  # fmt: skip


@pytest.mark.parametrize("frames", [3, 31])
@pytest.mark.parametrize("case", ODD)
def test_a_network_of_odd_sizes_is_the_slow_one(case, frames):
    config, rng = ODD[case], np.random.default_rng(3)
    window, harmonics = (4, 3) if case == "one head, wide kernel" else (10, 1)
    weights = reference.random_weights(config, window, seed=1, harmonics=harmonics)
    slow = {name: array.astype(np.float64) for name, array in weights.items()}
    model = Synthesizer(config, weights, ONE_THREAD)
    phone = rng.standard_normal((1, frames, config.features)).astype(np.float32)
    f0 = np.where(rng.random((1, frames)) > 0.3, rng.uniform(60, 600, (1, frames)), 0.0) if config.f0 else None
    speaker = model.speaker(config.speakers - 1)
    noise = rng.standard_normal((1, config.inter, frames)).astype(np.float32)
    ours = model.convert(phone, f0, speaker, noise=(noise, None))

    pitch = None if f0 is None else coarse_pitch(f0[0])
    mean, log_deviation = reference.encode(config, slow, phone[0].astype(np.float64), pitch)
    z = mean + np.exp(log_deviation) * 0.66666 * noise[0]
    z = reference.flow(config, slow, z, speaker[0].astype(np.float64))
    excitation = None if f0 is None else reference.excite(config, slow, f0[0])
    assert_same(case, ours[0], reference.decode(config, slow, z, speaker[0].astype(np.float64), excitation))


@pytest.mark.parametrize("cores", [2, 3, 4, 8])
@pytest.mark.parametrize("frames", [1, 2, 64])
def test_the_decoder_is_the_same_on_any_number_of_cores(cores, frames):
    checkpoint, held = voice("v2_48k_f0"), arrays("v2_48k_f0")
    feeds = {
        "z": np.repeat(held["z"][None, :, :frames], 2, axis=0),
        "speaker": synthesizer("v2_48k_f0").speaker(0, 2),
        "excitation": np.repeat(held["har_source"][None, : frames * 480], 2, axis=0),
        "spare": np.zeros(2, np.int64),
    }
    alone = open_session(decoder(checkpoint.config, checkpoint.weights), ONE_THREAD).run(**feeds)[0]
    split = open_session(decoder(checkpoint.config, checkpoint.weights, cores=cores), RuntimeOptions(threads=2))
    assert_same(f"{cores} cores, {frames} frames", split.run(**feeds)[0], alone)


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("case", ["usual", *ODD])
def test_frames_that_are_not_spare_are_the_same_whatever_is(case, cores):
    config, rng, frames = ODD.get(case, USUAL), np.random.default_rng(4), 40
    model = Synthesizer(config, reference.random_weights(config, 10, seed=1), RuntimeOptions(threads=cores))
    z = rng.standard_normal((2, config.inter, frames)).astype(np.float32)
    excitation = rng.standard_normal((2, frames * config.hop)).astype(np.float32) * 0.1 if config.f0 else None
    speaker = model.speaker(0, config.speakers - 1)
    whole = model.decode(z, speaker, excitation)
    for first, last in ((8, 5), (1, 0), (0, 2), (20, 19), (11, 12)):
        spare = np.array([[first, last], [first + 3, last]])
        part = model.decode(z, speaker, excitation, spare)
        wanted = slice(first * config.hop, part.shape[1] - last * config.hop)
        assert_same(f"{case} {first} {last}", part[:, wanted], whole[:, wanted], floor_db=110.0)
        assert not part[:, : wanted.start].any()
        assert not part[:, wanted.stop :].any()


def test_frames_cannot_all_be_spare():
    model, held = synthesizer("v2_40k_nof0"), arrays("v2_40k_nof0")
    for spare in ([10, 10], [21, 0], [-1, 0]):
        with pytest.raises(FormatError, match="of 20 frames"):
            model.decode(held["z"][None, :, :20], model.speaker(0), None, np.array([spare]))


@pytest.mark.parametrize("case", ["usual", *ODD])
def test_the_newest_frames_of_a_prior_are_the_same_alone(case):
    config, rng, frames = ODD.get(case, USUAL), np.random.default_rng(5), 31
    window = 4 if case == "one head, wide kernel" else 10
    model = Synthesizer(config, reference.random_weights(config, window, seed=1), ONE_THREAD)
    phone = rng.standard_normal((2, frames, config.features)).astype(np.float32)
    pitch = rng.integers(1, 256, (2, frames)) if config.f0 else None
    whole = model.encode(phone, pitch)
    for wanted in (1, 7, 29, 31):
        found = model.encode(phone, pitch, np.array([1, wanted]))
        for name, part, all_of_it in zip(("mean", "deviation"), found, whole, strict=True):
            assert_same(f"{case} {wanted} {name}", part, all_of_it[:, :, -wanted:], floor_db=110.0)


def test_stages_that_do_not_fit_an_excitation_are_refused():
    for rates, kernels in (((10, 8, 3, 3), (20, 16, 5, 5)), ((10, 8, 2, 1), (20, 16, 4, 1))):
        with pytest.raises(ModelError, match="odd factor"):
            replace(USUAL, upsample_rates=rates, upsample_kernels=kernels)
    with pytest.raises(ModelError, match="kernel of 17 does not fit a rate of 10"):
        replace(USUAL, upsample_kernels=(17, 16, 4, 4))
    with pytest.raises(ModelError, match="kernel of 8 does not fit a rate of 10"):
        replace(USUAL, f0=False, upsample_kernels=(8, 16, 4, 4))


def test_residual_blocks_that_do_not_fit_what_they_are_added_to_are_refused():
    with pytest.raises(ModelError, match="kernel of 4 does not fit dilations of 1, 3, 5"):
        replace(USUAL, resblock_kernels=(3, 4, 11))
    with pytest.raises(ModelError, match="kernel of 4 does not fit dilations of 2, 3"):
        replace(USUAL, resblock="2", resblock_kernels=(4,), resblock_dilations=((2, 3),))


def test_sizes_that_make_no_network_are_refused():
    with pytest.raises(ModelError, match="do not divide among 3 heads"):
        replace(USUAL, heads=3)
    with pytest.raises(ModelError, match="version v1 or v2"):
        replace(USUAL, version="v3")
    with pytest.raises(ModelError, match="cannot be halved 4 times"):
        replace(USUAL, upsample_initial=8)
    with pytest.raises(ModelError, match="one rate and one kernel"):
        replace(USUAL, upsample_kernels=(20, 16, 4))


@pytest.mark.parametrize("name", VOICES)
def test_the_fixtures_agree_with_the_slow_network(name):
    # the slow one is judged by the official network too
    checkpoint, held = voice(name), arrays(name)
    slow = {key: np.asarray(array, np.float64) for key, array in checkpoint.weights.items()}
    speaker = slow["emb_g.weight"][int(held["sid"][0])]
    z = held["z"][:, :20].astype(np.float64)
    excitation = held["har_source"][: 20 * checkpoint.config.hop].astype(np.float64) if checkpoint.config.f0 else None
    audio = reference.decode(checkpoint.config, slow, z, speaker, excitation)[: 9 * checkpoint.config.hop]
    assert_same(name, audio, held["offline_zero"][: len(audio)], floor_db=95.0)
