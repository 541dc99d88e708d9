from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from menura.errors import DamagedModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.checkpoint import read_checkpoint
from menura.neural.files.inspect import inspect_model
from menura.neural.files.kinds import ModelKind, kind_of
from menura.neural.files.voice import _voice, read_voice
from menura.neural.files.weights import fold_weight_norm
from tests.neural.model_files import RVC, Op, Pickle, archive, checkpoint, random_voice, voice_config

SMALL = [1025, 32, 8, 16, 24, 2, 3, 3, 0, "1", [3, 7, 11], [[1, 3, 5]] * 3, [12, 10, 2, 2], 32, [24, 20, 4, 4], 3, 6,
         48_000]  # fmt: skip
V1_32K = [513, 32, 4, 8, 12, 2, 2, 3, 0, "1", [3, 7], [[1, 3], [1, 3]], [10, 4, 2, 2, 2], 64, [16, 16, 4, 4, 4], 109, 5,
          32_000]  # fmt: skip
ODD = [1025, 32, 4, 12, 8, 3, 1, 5, 0, "2", [3], [[1, 2]], [8, 6, 5], 16, [16, 12, 11], 1, 3, "24k"]


def changed(change: Callable[[dict[str, Any]], object], **how: Any) -> bytes:
    value = random_voice(SMALL, **how)
    change(value)
    return checkpoint(value)


@pytest.mark.parametrize(("name", "version", "f0", "rate"), [
    ("v2_48k_f0", "v2", True, 48_000), ("v1_40k_f0", "v1", True, 40_000), ("v2_40k_nof0", "v2", False, 40_000),
])  # fmt: skip
def test_read_voice_gives_sizes_and_plain_weights(name: str, version: str, f0: bool, rate: int) -> None:
    path = RVC / f"{name}.pth"
    voice, stored = read_voice(path), read_checkpoint(path)["weight"]
    assert (voice.config.version, voice.config.f0, voice.config.rate) == (version, f0, rate)
    assert (voice.config.speakers, voice.config.hop) == (3, rate // 100)
    assert voice.info == "random weights, parity fixture"
    assert voice.ignored == ()
    assert all(w.dtype == np.float32 and w.flags.c_contiguous and w.flags.owndata for w in voice.weights.values())
    np.testing.assert_array_equal(voice.weights["emb_g.weight"], stored["emb_g.weight"])
    length, direction = (stored[f"dec.ups.0.weight_{part}"].astype(np.float64) for part in "gv")
    wanted = direction * (length / np.sqrt((direction**2).sum(axis=(1, 2), keepdims=True)))
    np.testing.assert_allclose(voice.weights["dec.ups.0.weight"], wanted, rtol=1e-6)
    assert not any("weight_" in key for key in voice.weights)


@pytest.mark.parametrize(("config", "version", "f0"), [
    (SMALL, "v2", True), (SMALL, "v2", False), (V1_32K, "v1", True), (V1_32K, "v1", False), (ODD, "v2", False),
])  # fmt: skip
def test_a_voice_of_any_size_is_read_with_its_sizes(config: list[Any], version: str, f0: bool) -> None:
    value = random_voice([*config[:-1], 24_000 if config[-1] == "24k" else config[-1]], version=version, f0=f0)
    value["config"] = config
    wanted = voice_config([*config[:-1], 24_000 if config[-1] == "24k" else config[-1]], version=version, f0=f0)
    assert read_voice(checkpoint(value)).config == wanted
    assert inspect_model(checkpoint(value)).config == wanted


@pytest.mark.parametrize("change", [
    lambda v: v["config"].__setitem__(15, 109),
    lambda v: v.pop("version"),
    lambda v: v.pop("f0"),
    lambda v: v.update(f0="1", version="v1"),
    lambda v: v.update(sr=48_000),
    lambda v: v.pop("sr"),
    lambda v: v["config"].__setitem__(17, "48k"),
    lambda v: v.update(vocoder="HiFi-GAN", embedder_model="contentvec", epoch=100, author="x", speakers_id=1),
    lambda v: v["weight"].update({"enc_q.pre.weight": np.zeros((1, 1), np.float16)}),
    lambda v: v.update(config=tuple(v["config"])),
    lambda v: v["config"].__setitem__(9, 1),
    lambda v: v["config"].__setitem__(11, [[1, 3, 5, 7], [1, 3, 5], [1, 3, 5, 9, 2], [1, 3, 5]]),
    lambda v: v["config"].__setitem__(14, [24, 20, 4, 4, 2]),
])  # fmt: skip
def test_what_tools_write_differently_makes_no_difference(change: Callable[[dict[str, Any]], object]) -> None:
    plain = read_voice(changed(id))
    voice = read_voice(changed(lambda v: (v.update(config=list(v["config"])), change(v))))
    assert voice.config == plain.config
    assert all(np.array_equal(voice.weights[name], plain.weights[name]) for name in plain.weights)
    assert voice.ignored == ()


def test_blocks_of_type_2_take_two_of_three_dilations() -> None:
    config = [*ODD[:11], [[1, 3]], *ODD[12:17], 24_000]
    value = random_voice(config, f0=False)
    value["config"] = [*ODD[:11], [[1, 3, 5]], *ODD[12:17], 24_000]
    assert read_voice(checkpoint(value)).config == voice_config(config, f0=False)
    value["weight"].pop("dec.resblocks.0.convs.1.weight_g")
    with pytest.raises(DamagedModelError, match="weight_g is missing"):
        read_voice(checkpoint(value))


def test_a_text_encoder_without_layers_is_read() -> None:
    config = [*ODD[:6], 0, *ODD[7:17], 24_000]
    assert read_voice(checkpoint(random_voice(config, f0=False))).config.layers == 0
    value = random_voice(config, f0=False)
    value["config"] = ODD
    with pytest.raises(DamagedModelError, match=r"ffn_layers\.0\.conv_1\.weight is missing"):
        read_voice(checkpoint(value))


def test_weight_norm_under_its_new_names_is_the_same_voice() -> None:
    def rename(value: dict[str, Any]) -> None:
        value["weight"] = {
            name.replace(".weight_g", ".parametrizations.weight.original0").replace(
                ".weight_v", ".parametrizations.weight.original1"
            ): array
            for name, array in value["weight"].items()
        }

    voice, plain = read_voice(changed(rename)), read_voice(changed(id))
    assert all(np.array_equal(voice.weights[name], plain.weights[name]) for name in plain.weights)


def test_what_a_voice_says_of_itself_is_kept_short_and_plain() -> None:
    said = {"embedder_model": "spin", "author": "a\x1b[31m" + "b" * 900, "epoch": 200, "model_name": "n", "extra": [1]}
    voice = read_voice(changed(lambda v: v.update(said)))
    assert voice.embedder == "spin"
    assert voice.about["epoch"] == 200
    assert len(str(voice.about["author"])) == 500
    assert str(voice.about["author"]).isprintable()


@pytest.mark.parametrize(("change", "said"), [
    (lambda v: v["weight"].pop("enc_p.emb_phone.weight"), r"enc_p\.emb_phone\.weight is missing"),
    (lambda v: v["weight"].pop("dec.ups.1.weight_g"), r"dec\.ups\.1\.weight_g is missing"),
    (lambda v: v["weight"].pop("dec.ups.1.weight_v"), r"dec\.ups\.1\.weight_v is missing"),
    (lambda v: v["weight"].pop("dec.conv_post.weight"), r"1 of its \d+ weights are missing \(dec\.conv_post\.weight\)"),
    (lambda v: [v["weight"].pop(f"dec.noise_convs.{i}.bias") for i in range(4)], r"4 of its \d+ weights are missing"),
    (lambda v: v["weight"].update({"dec.conv_post.weight": np.zeros((1, 2, 5))}), "1×2×5; the voice's sizes say 1×2×7"),
    (lambda v: v["weight"].update({"emb_g.weight": np.zeros((0, 6))}), "shape"),
    (lambda v: v["weight"].update({"emb_g.weight": np.full((3, 6), np.nan)}), "emb_g.weight holds values that are"),
    (lambda v: v["weight"].update({"emb_g.weight": np.full((3, 6), np.inf)}), "emb_g.weight holds values that are"),
    (lambda v: v["weight"].update({"dec.ups.0.weight_g": np.full((32, 1, 1), np.inf)}), "ups.0.weight holds values"),
    (lambda v: v["weight"].update({"dec.ups.0.weight_g": np.ones((3, 1, 1))}), "has a length of shape"),
    (lambda v: v.update(config=[*SMALL[:14], [23, 20, 4, 4], *SMALL[15:]]), "23 does not fit a rate of 12; export it"),
    (lambda v: v["weight"].update({"dec.ups.0.weight_g": np.ones((3,))}), "has a length of shape"),
    (lambda v: v.pop("config"), "no config"),
    (lambda v: v.update(config=v["config"][:17]), "17 entries"),
    (lambda v: v.update(config="big"), "str entries"),
    (lambda v: v.update(config=[*SMALL[:12], [0], *SMALL[13:]]), "no sizes"),
    (lambda v: v.update(config=[*SMALL[:12], "12,10", *SMALL[13:]]), "no list of upsampling rates"),
    (lambda v: v.update(config=[*SMALL[:14], [24, 20, 4], *SMALL[15:]]), "one rate and one kernel"),
    (lambda v: (v.update(config=[*SMALL[:9], "3", *SMALL[10:]]), v["weight"].pop("dec.resblocks.0.convs1.0.weight_v"),
                v["weight"].pop("dec.resblocks.0.convs1.0.weight_g")), "type '1' or '2'"),
    (lambda v: v.update(config=[*SMALL[:17], "hifi"], sr=None), "names no sampling rate"),
    (lambda v: v["weight"].clear(), "is no voice"),
])  # fmt: skip
def test_a_voice_that_lacks_something_says_what(change: Callable[[dict[str, Any]], object], said: str) -> None:
    with pytest.raises((DamagedModelError, UnsupportedModelError), match=said):
        read_voice(changed(change))


def test_a_direction_of_length_zero_is_a_weight_of_zero() -> None:
    folded = fold_weight_norm({"a.weight_g": np.ones((2, 1), "f2"), "a.weight_v": np.array([[0, 0], [3, 4]], "f2")})
    np.testing.assert_allclose(folded["a.weight"], [[0, 0], [0.6, 0.8]], rtol=1e-6)


@pytest.mark.parametrize(("change", "said"), [
    (lambda v: v.update(vocoder="RefineGAN"), "RefineGAN"),
    (lambda v: v.update(vocoder="MRF HiFi-GAN"), "MRF HiFi-GAN"),
    (lambda v: v["weight"].update({"dec.mrfs.0.0.convs1.0.weight": np.zeros(1)}), "MRF HiFi-GAN"),
    (lambda v: v["weight"].update({"enc_p.emb_phone.weight": np.zeros((16, 1024))}), "features 1024 wide"),
    (lambda v: (v.update(model=v.pop("weight"), iteration=5), v.pop("config")), "extract the voice from it"),
    (lambda v: (v.update(model=v.pop("weight")), v["model"].update({"enc_p.f0_emb.weight": np.zeros(1)})), "so-vits"),
])  # fmt: skip
def test_voices_of_other_tools_are_called_what_they_are(change: Callable[[dict[str, Any]], object], said: str) -> None:
    with pytest.raises(UnsupportedModelError, match=said):
        read_voice(changed(change))


@pytest.mark.parametrize(("keys", "kind"), [
    ({"model": {"discriminators.0.convs.0.weight_v": 0}, "iteration": 1}, ModelKind.RVC_TRAINING),
    ({"model": {"unit2ctrl.x": 0}}, ModelKind.DDSP),
    ({"model": {"decoder.denoise_fn.x": 0}}, ModelKind.DIFFUSION),
    ({"weight": {"enc_p.ssl_proj.weight": 0, "enc_p.text_embedding.weight": 0}}, ModelKind.GPT_SOVITS),
    ({"stg1_low_band_net.x": 0}, ModelKind.UVR),
    ({"state_dict": {"x": 0}, "pytorch-lightning_version": "2"}, ModelKind.LIGHTNING),
    ({"x": 0}, ModelKind.OTHER),
])  # fmt: skip
def test_models_of_other_kinds_are_recognised_by_their_keys(keys: dict[str, Any], kind: ModelKind) -> None:
    def filled(value: Any) -> Any:
        return {k: filled(v) for k, v in value.items()} if isinstance(value, dict) else np.zeros(1, np.float32)

    value = {k: filled(v) if isinstance(v, dict) or v == 0 else v for k, v in keys.items()}
    assert kind_of(value) is kind
    facts = inspect_model(checkpoint(value))
    assert (facts.kind, facts.config, bool(facts.problem)) == (kind, None, True)


def test_values_that_are_no_table_are_no_voice() -> None:
    for value in (None, 5, "x", [1], {"weight": 5}, {1: 2}, {"weight": {"emb_g.weight": "no array"}, "config": []}):
        with pytest.raises((UnsupportedModelError, DamagedModelError)):
            read_voice(checkpoint(value))


def test_inspect_tells_a_voice_without_its_weights(tmp_path: Path) -> None:
    facts = inspect_model(RVC / "v2_48k_f0.pth")
    assert facts.kind is ModelKind.VOICE
    assert facts.config == read_voice(RVC / "v2_48k_f0.pth").config
    assert (facts.types, facts.problem, facts.embedder) == (("float16",), "", "contentvec")
    assert facts.size == (RVC / "v2_48k_f0.pth").stat().st_size
    broken = tmp_path / "refine.pth"
    broken.write_bytes(changed(lambda v: v.update(vocoder="RefineGAN")))
    assert "RefineGAN" in inspect_model(broken).problem


@pytest.mark.parametrize("change", [
    lambda w: w.update({f"flow.flows.{i}.pre.weight": w["emb_g.weight"] for i in range(9000)}
                       | {f"flow.flows.0.enc.in_layers.{i}.weight": w["emb_g.weight"] for i in range(9000)}),
    lambda w: w.update({f"enc_p.encoder.attn_layers.{i}.conv_q.weight": w["emb_g.weight"] for i in range(1500)}),
])  # fmt: skip
def test_a_voice_that_claims_thousands_of_layers_is_refused_at_once(change: Callable[[dict[str, Any]], object]) -> None:
    value = random_voice(SMALL)
    change(value["weight"])
    with pytest.raises(UnsafeModelError, match=r"more than .* layers"):
        _voice(value)


LAUGHS = b"".join(b"](" + (b"h%c" % (n - 1) if n else b"K\x01") * 10 + b"eq%c0" % n for n in range(30)) + b"h\x1d"
"""A list of ten lists of ten lists …, 10³⁰ numbers in all, in a kilobyte."""


@pytest.mark.parametrize("place", [
    *(("config", number) for number in range(18)), *(("config", number, 0) for number in (10, 11, 12, 14)), ("config",),
    ("sr",), ("info",), ("version",), ("vocoder",), ("author",), ("weight",), ("weight", "emb_g.weight"),
])  # fmt: skip
def test_a_list_that_never_ends_when_it_is_written_out_is_read_at_once(place: tuple[Any, ...]) -> None:
    value = random_voice([list(item) if isinstance(item, list) else item for item in SMALL])
    inner: Any = value
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = "here"
    pickle = Pickle()
    body = pickle.write(value).replace(Op.text("here"), LAUGHS)
    data = archive(body, [array.tobytes() for array in pickle.storages])
    for read in (read_voice, inspect_model):
        try:
            read(data)
        except (DamagedModelError, UnsupportedModelError, UnsafeModelError) as error:
            assert len(str(error)) < 400


def test_numbers_that_json_has_not_are_not_told() -> None:
    said = {"epoch": float("nan"), "step": 10**30, "dataset_length": 3}
    about = read_voice(changed(lambda v: v.update(said))).about
    assert about == {"info": "random", "dataset_length": 3}


def test_a_table_of_weights_alone_is_told_that_its_config_is_missing() -> None:
    with pytest.raises(DamagedModelError, match="no config"):
        read_voice(checkpoint(random_voice(SMALL)["weight"]))


def test_a_voice_needs_its_file_no_longer_once_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "voice.pth"
    path.write_bytes((RVC / "v2_48k_f0.pth").read_bytes())
    voice = read_voice(path)
    path.write_bytes(b"")
    assert all(np.isfinite(weight).all() for weight in voice.weights.values())
