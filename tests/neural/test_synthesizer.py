import numpy as np
import pytest

from menura.errors import ConfigError, FormatError, ModelError
from menura.neural.nets.decoder import decoder
from menura.neural.nets.encoder import encoder
from menura.neural.nets.flow import flow
from menura.neural.nets.source import HarmonicSource, stretch
from menura.neural.runtime import open_session
from menura.neural.synthesizer import FLOW_CONTEXT, Synthesizer, coarse_pitch
from tests.neural.rvc import ONE_THREAD, VOICES, Arrays, arrays, assert_same, snr_db, synthesizer, voice


def _given(held: Arrays, case: str) -> tuple:
    return held.get(f"{case}_noise0"), held.get(f"{case}_noise1")


def _convert(name: str, **options):
    model, held = synthesizer(name), arrays(name)
    f0 = held.get("pitchf")
    if f0 is not None and "stretched" in options:
        f0 = f0 * np.float32(options["stretched"] / options["cut"][1])
    speaker = model.speaker(int(held["sid"][0]))
    return model.convert(held["phone"], f0, speaker, pitch=held.get("pitch"), **options)[0]


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("case", ["offline_zero", "offline_given"])
def test_audio_is_the_official_networks_when_converted_whole(name, case):
    held = arrays(name)
    assert_same(f"{name} {case}", _convert(name, noise=_given(held, case)), held[case])


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("case", ["realtime_zero", "realtime_given"])
def test_audio_is_the_official_networks_when_only_a_cut_is_wanted(name, case):
    held = arrays(name)
    cut = int(held["skip_head"]), int(held["return_length"])
    assert_same(f"{name} {case}", _convert(name, noise=_given(held, case), cut=cut), held[case])


@pytest.mark.parametrize("name", VOICES)
def test_audio_is_the_official_networks_when_formants_are_moved(name):
    held = arrays(name)
    cut = int(held["skip_head"]), int(held["return_length"])
    ours = _convert(name, cut=cut, stretched=int(held["return_length2_formant"]))
    assert_same(f"{name} formant_zero", ours, held["formant_zero"])


@pytest.mark.parametrize("name", VOICES)
def test_intermediate_values_are_the_official_networks(name):
    model, held = synthesizer(name), arrays(name)
    mean, log_deviation = model.encode(held["phone"], held.get("pitch"))
    z = model.latent(mean, log_deviation, model.speaker(int(held["sid"][0])))
    for what, ours in (("m_p", mean), ("logs_p", log_deviation), ("z", z)):
        assert_same(f"{name} {what}", ours[0], held[what])


@pytest.mark.parametrize("name", VOICES[:2])
def test_the_source_is_the_official_one(name):
    held = arrays(name)
    excitation, _ = synthesizer(name).source.render(held["pitchf"])
    assert_same(f"{name} har_source", excitation[0], held["har_source"])


@pytest.mark.parametrize("name", VOICES)
def test_a_batch_is_its_members_one_by_one(name):
    model, held = synthesizer(name), arrays(name)
    rng = np.random.default_rng(5)
    phone = np.concatenate([held["phone"], rng.standard_normal((2, *held["phone"].shape[1:])).astype(np.float32)])
    f0 = np.concatenate([held["pitchf"], held["pitchf"] * 2, held["pitchf"] * 0]) if model.config.f0 else None
    speakers = model.speaker(0, 1, 2)
    noise = rng.standard_normal((3, model.config.inter, phone.shape[1])).astype(np.float32)
    together = model.convert(phone, f0, speakers, noise=(noise, None))
    for index in range(3):
        one = slice(index, index + 1)
        pitch = None if f0 is None else f0[one]
        alone = model.convert(phone[one], pitch, speakers[one], noise=(noise[one], None))
        assert_same(f"{name} member {index}", together[one], alone)


def test_a_cut_of_the_flow_is_exact_beyond_its_context():
    model, held = synthesizer("v2_48k_f0"), arrays("v2_48k_f0")
    speaker = model.speaker(0)
    mean, log_deviation = model.encode(held["phone"], held["pitch"])
    whole = model.latent(mean, log_deviation, speaker)
    cut = model.latent(mean[:, :, 20:], log_deviation[:, :, 20:], speaker)
    assert_same("cut", cut[:, :, FLOW_CONTEXT:], whole[:, :, 20 + FLOW_CONTEXT :])


def test_speakers_that_are_not_there_are_refused():
    with pytest.raises(ConfigError, match="speakers 0 to 2, not 3"):
        synthesizer("v2_48k_f0").speaker(3)


def test_a_voice_with_pitch_refuses_to_go_without():
    model, held = synthesizer("v2_48k_f0"), arrays("v2_48k_f0")
    with pytest.raises(FormatError, match="takes a pitch"):
        model.encode(held["phone"])
    with pytest.raises(FormatError, match="excitation of 480 samples a frame"):
        model.decode(held["z"][None], model.speaker(0))


def test_features_of_another_version_are_refused():
    with pytest.raises(FormatError, match="encoder does not take"):
        synthesizer("v2_40k_nof0").encode(np.zeros((1, 8, 256), np.float32))


def test_a_weight_of_another_shape_is_named():
    checkpoint = voice("v2_40k_nof0")
    weights = {**checkpoint.weights, "dec.conv_pre.weight": np.zeros((32, 8, 5), np.float32)}
    with pytest.raises(ModelError, match=r"dec\.conv_pre\.weight is 32×8×5, its config says 32×8×7"):
        Synthesizer(checkpoint.config, weights, ONE_THREAD)


def test_a_missing_weight_is_named():
    checkpoint = voice("v2_40k_nof0")
    weights = {name: array for name, array in checkpoint.weights.items() if name != "enc_p.proj.bias"}
    del weights["enc_p.encoder.attn_layers.1.emb_rel_k"]
    with pytest.raises(ModelError, match=r"has no enc_p\.encoder\.attn_layers\.1\.emb_rel_k"):
        Synthesizer(checkpoint.config, weights, ONE_THREAD)


def test_coarse_pitch_has_its_ends():
    assert coarse_pitch(np.array([0.0, 1.0, 1100.0, 20_000.0])).tolist() == [1, 1, 255, 255]


@pytest.mark.parametrize("frames", [1, 5, 24, 48])
def test_stretch_keeps_a_constant_and_its_shape(frames):
    x = np.full((2, 3, 24), 0.5, np.float32)
    y = stretch(x, frames)
    assert y.shape == (2, 3, frames)
    np.testing.assert_allclose(y, 0.5, rtol=1e-6)


@pytest.mark.parametrize("name", VOICES)
def test_half_precision_is_near_single(name):
    # on a CPU it is computed by way of single precision: this judges the rounding of weights and of what lies between
    config, weights, held = voice(name).config, voice(name).weights, arrays(name)
    speaker = synthesizer(name).speaker(int(held["sid"][0]))
    feeds = {"phone": held["phone"], "wanted": np.array([held["phone"].shape[1]], np.int64)}
    feeds |= {"pitch": held["pitch"]} if config.f0 else {}
    mean, log_deviation = open_session(encoder(config, weights, half=True), ONE_THREAD).run(**feeds)
    assert_same(f"{name} mean", mean[0], held["m_p"], floor_db=45.0)
    network = flow(config, weights, half=True)
    assert all(array.dtype == np.float16 for array in network.weights.values())
    noise = np.zeros_like(mean)
    z = open_session(network, ONE_THREAD).run(mean=mean, log_deviation=log_deviation, noise=noise, speaker=speaker)[0]
    feeds = {"z": z, "speaker": speaker, "spare": np.zeros(2, np.int64)}
    feeds |= {"excitation": held["har_source"][None]} if config.f0 else {}
    audio = open_session(decoder(config, weights, half=True), ONE_THREAD).run(**feeds)[0]
    assert audio.dtype == np.float32
    assert_same(f"{name} audio", audio[0], held["offline_zero"], floor_db=40.0)


@pytest.mark.parametrize("name", VOICES)
def test_a_text_encoder_in_eight_bits_is_near_single(name):
    config, weights, held = voice(name).config, voice(name).weights, arrays(name)
    model = Synthesizer(config, weights, ONE_THREAD, int8=True)
    mean, log_deviation = model.encode(held["phone"], held.get("pitch"))
    assert_same(f"{name} mean", mean[0], held["m_p"], floor_db=25.0)
    assert_same(f"{name} deviation", log_deviation[0], held["logs_p"], floor_db=25.0)


@pytest.mark.parametrize("harmonics", [1, 3])
def test_an_excitation_in_blocks_is_the_whole_one_when_its_phase_is_carried(harmonics):
    rng = np.random.default_rng(2)
    source = HarmonicSource(48_000, 480, rng.standard_normal(harmonics).astype(np.float32), 0.01)
    f0 = np.where(rng.random((2, 60)) > 0.2, rng.uniform(60, 900, (2, 60)), 0.0)
    noise = rng.standard_normal((2, 60 * 480, harmonics)).astype(np.float32)
    whole, end = source.render(f0, np.zeros(2), noise)
    parts, phase = [], np.zeros(2)
    for first, last in ((0, 1), (1, 30), (30, 30), (30, 60)):
        part, phase = source.render(f0[:, first:last], phase, noise[:, first * 480 : last * 480])
        parts.append(part)
    assert_same("blocks", np.concatenate(parts, axis=1), whole)
    np.testing.assert_allclose(np.exp(2j * np.pi * phase), np.exp(2j * np.pi * end), atol=1e-9)


def test_an_excitation_of_its_own_is_rounded_where_rvc_rounds():
    # single precision, but for the sum over frames, as torch has it on a processor
    rng, one = np.random.default_rng(3), np.float32(1)
    source = HarmonicSource(40_000, 400, np.ones(1, np.float32), 0.0)
    f0 = rng.uniform(500, 1000, (1, 100)).astype(np.float32)
    total, made = 0.0, []
    for hz in f0[0]:
        before = np.fmod(np.float32(total), one)
        turns = hz / np.float32(40_000) * np.arange(1, 401, dtype=np.float32)
        made.append(np.sin(np.float32(2 * np.pi) * (turns + before)) * np.float32(0.1))
        total += float(np.fmod(turns[-1] + np.float32(0.5), one) - np.float32(0.5))
    theirs = np.tanh(np.concatenate(made))[None]
    assert_same("their rounding", source.render(f0)[0], theirs, floor_db=130.0)
    assert snr_db(source.render(f0, np.zeros(1))[0], theirs) < 95.0


def test_a_phase_carried_for_long_is_as_exact_as_a_fresh_one():
    source = HarmonicSource(48_000, 480, np.ones(1, np.float32), 0.0)
    f0 = np.full((1, 100), 440.25)
    phase = np.zeros(1)
    for _ in range(200):
        _, phase = source.render(f0, phase)
    assert abs(phase[0]) <= 0.5
    # 200 seconds of 440.25 turns are whole turns
    assert_same("late", source.render(f0, phase)[0], source.render(f0, np.zeros(1))[0])


def test_an_excitation_without_pitch_is_noise_and_with_none_is_still():
    source = HarmonicSource(40_000, 400, np.ones(1, np.float32), 0.0)
    unvoiced = np.zeros((1, 50))
    assert (source.render(unvoiced)[0] == 0).all()
    noise = np.random.default_rng(0).standard_normal((1, 20_000)).astype(np.float32)
    made, _ = source.render(unvoiced, None, noise)
    assert 0.9 < made.std() / (0.1 / 3) < 1.1
    with pytest.raises(FormatError, match="batch, frames"):
        source.render(np.zeros(5))
    with pytest.raises(FormatError, match="does not fit 1 times 50 frames of 400"):
        source.render(unvoiced, None, noise[:, :-1])
