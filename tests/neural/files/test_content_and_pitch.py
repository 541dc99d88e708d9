"""HuBERT in both namings, RMVPE and FCPE."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from menura.errors import DamagedModelError, FileError, ModelError, UnsafeModelError, UnsupportedModelError
from menura.neural.files.checkpoint import read_checkpoint
from menura.neural.files.hubert import _layout, _renamed, read_hubert
from menura.neural.files.hubert_sizes import _written_strides
from menura.neural.files.inspect import inspect_model
from menura.neural.files.kinds import ModelKind
from menura.neural.files.pitch import FcpeConfig, read_fcpe, read_rmvpe
from menura.neural.nets.config import HubertConfig, RmvpeConfig
from tests.neural.model_files import RVC, TORCH, checkpoint


def tiny() -> dict[str, Any]:
    return dict(read_checkpoint(RVC / "hubert_tiny_fairseq.pt")["model"])


def test_fairseq_and_hugging_face_give_the_same_model() -> None:
    one, two = read_hubert(RVC / "hubert_tiny_fairseq.pt", heads=4), read_hubert(RVC / "hubert_tiny")
    assert (
        one.config
        == two.config
        == HubertConfig(hidden=32, intermediate=48, heads=4, conv_dim=(16,) * 7, projection=256)
    )
    assert one.weights.keys() == two.weights.keys()
    for name, array in one.weights.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, two.weights[name])
    assert one.ignored == ("masked_spec_embed",)


def test_names_of_the_real_hubert_base_map_onto_hugging_faces() -> None:
    keys = {kind: json.loads((RVC / f"hubert_base_{kind}_keys.json").read_text()) for kind in ("fairseq", "hf")}
    named = _renamed({name: np.empty(shape) for name, shape in keys["fairseq"].items()})
    old, new = ("encoder.pos_conv_embed.conv." + end for end in ("weight_", "parametrizations.weight.original"))
    named = {name.replace(f"{old}g", f"{new}0").replace(f"{old}v", f"{new}1"): array for name, array in named.items()}
    assert {name: list(array.shape) for name, array in named.items()} == keys["hf"]
    used = set(_layout(HubertConfig(projection=256)))
    assert set(named) - used == {"masked_spec_embed", f"{new}0", f"{new}1"}


def test_a_folder_its_files_and_their_bytes_are_the_same_model(tmp_path: Path) -> None:
    folder = RVC / "hubert_tiny768"
    whole = read_hubert(folder)
    assert whole.config.heads == 12
    of_bytes = read_hubert((folder / "model.safetensors").read_bytes())
    assert (of_bytes.config, len(of_bytes.weights)) == (whole.config, len(whole.weights))
    values = {f"hubert.{name}": array for name, array in read_checkpoint(folder / "model.safetensors").items()}
    values["lm_head.weight"] = np.zeros((2, 2), np.float32)
    (tmp_path / "pytorch_model.bin").write_bytes(checkpoint(values))
    shutil.copy(folder / "config.json", tmp_path)
    prefixed = read_hubert(tmp_path)
    assert prefixed.config == whole.config
    assert prefixed.ignored == ("lm_head.weight", "masked_spec_embed")


def test_settings_in_fairseqs_file_tell_the_heads() -> None:
    read = read_hubert(TORCH / "fairseq_settings.pt")
    assert (read.config.heads, read.config.layers, read.config.pre_norm) == (4, 1, False)
    heads = {"encoder_attention_heads": 8}
    for settings in ({"cfg": {"model": heads}}, {"cfg": {"model": {}}, "args": heads}):
        assert read_hubert(checkpoint({**settings, "model": tiny()})).config.heads == 8
    with pytest.raises(UnsupportedModelError, match="give heads="):
        read_hubert(checkpoint({"model": tiny()}))


def test_a_model_without_final_proj_has_no_projection() -> None:
    model = {name: array for name, array in tiny().items() if not name.startswith("final_proj")}
    model["label_embs_concat"] = np.zeros((5, 2), np.float16)
    read = read_hubert(checkpoint({"model": model}), heads=4)
    assert (read.config.projection, read.ignored) == (0, ("label_embs_concat", "masked_spec_embed"))


def test_fairseqs_way_of_writing_layers_is_read_and_not_run() -> None:
    assert _written_strides("[(512,10,5)] + [(512,3,2)] * 4 + [(512,2,2)] * 2") == [5, 2, 2, 2, 2, 2, 2]
    assert _written_strides("[(8, 10, 5), (8, 3, 2)]*2") == [5, 2, 5, 2]
    for text in ("", "[]", "__import__('os')", "[(1,2,3)] * 10**9", "[(1,2,3)] + x", "[(1,2)]", "[(1,2,3)] * 100" * 50):
        assert _written_strides(text) is None


@pytest.mark.parametrize(("change", "said"), [
    (lambda m: m.pop("encoder.layers.3.fc1.bias"), r"weights are missing \(encoder\.layers\.3\.feed_forward"),
    (lambda m: m.pop("encoder.pos_conv.0.weight_g"), "weight_g is missing"),
    (lambda m: m.pop("encoder.pos_conv.0.weight_v"), "weight_v is missing"),
    (lambda m: m.pop("encoder.layers.0.fc1.weight"), "is missing"),
    (lambda m: m.update({"encoder.layers.0.fc1.weight": np.zeros(3)}), "not 2 dimensions"),
    (lambda m: m.update({"encoder.layers.0.fc1.bias": np.full(48, np.nan)}), "values that are no numbers"),
    (lambda m: m.update({"feature_projection.layer_norm.weight": np.zeros(16)}), "there twice"),
    (lambda m: m.pop("feature_extractor.conv_layers.6.0.weight"), "does not say the strides of its 6"),
])  # fmt: skip
def test_a_content_model_that_lacks_something_says_what(change: Callable[[dict[str, Any]], object], said: str) -> None:
    model = tiny()
    change(model)
    with pytest.raises(ModelError, match=said):
        read_hubert(checkpoint({"model": model}), heads=4)


@pytest.mark.parametrize(("config", "error"), [
    ('{"model_type": "wav2vec2"}', UnsupportedModelError), ("{", DamagedModelError), ("[1]", DamagedModelError),
    ("[" * 100_000, DamagedModelError), ('{"layer_norm_eps": "x", "num_attention_heads": 4}', DamagedModelError),
    ('{"conv_stride": [5, 0, 2, 2, 2, 2, 2], "num_attention_heads": 4}', UnsupportedModelError),
    ('{"conv_stride": 5, "num_attention_heads": 4}', UnsupportedModelError), ('{"num_attention_heads": 5}', ModelError),
])  # fmt: skip
def test_settings_beside_a_content_model_that_make_no_sense_are_refused(
    config: str, error: type[ModelError], tmp_path: Path
) -> None:
    shutil.copy(RVC / "hubert_tiny" / "model.safetensors", tmp_path)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(error):
        read_hubert(tmp_path)


def test_a_folder_without_weights_and_another_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="has neither"):
        read_hubert(tmp_path)
    with pytest.raises(UnsupportedModelError, match=r"rmvpe_tiny\.pt: it is an RMVPE pitch model: a HuBERT"):
        read_hubert(RVC / "rmvpe_tiny.pt")
    with pytest.raises(UnsupportedModelError, match="it is an RVC voice: an RMVPE"):
        read_rmvpe(RVC / "v1_40k_f0.pth")


def test_rmvpes_sizes_are_those_of_its_weights() -> None:
    read = read_rmvpe(RVC / "rmvpe_tiny.pt")
    assert read.config == RmvpeConfig(blocks=1, levels=5, inter_levels=1, channels=2, gru_layers=1)
    assert not any(name.endswith("num_batches_tracked") for name in read.weights)
    assert inspect_model(RVC / "rmvpe_tiny.pt").config == read.config
    stored = read_checkpoint(RVC / "rmvpe_tiny.pt")
    assert read_rmvpe(checkpoint({"model": dict(stored)})).config == read.config
    linear = {name: array for name, array in stored.items() if not name.startswith("fc.")}
    linear["fc.0.weight"] = np.zeros((360, 384), np.float16)
    assert read_rmvpe(checkpoint(linear)).config.gru_layers == 0
    for gone in ("fc.1.weight", "unet.intermediate.layers.0.conv.0.conv.0.weight", "fc.0.gru.weight_hh_l0"):
        with pytest.raises(DamagedModelError):
            read_rmvpe(checkpoint({name: array for name, array in stored.items() if name != gone}))


def fcpe(**told: Any) -> bytes:
    """A small network of FCPE's form."""
    weights = {
        "cent_table": np.zeros(360), "gaussian_blurred_cent_mask": np.float32(0)[None],
        "input_stack.0.weight": np.zeros((8, 128, 3)), "output_proj.bias": np.zeros(360),
        "output_proj.weight_g": np.ones((360, 1)), "output_proj.weight_v": np.ones((360, 8)),
    }  # fmt: skip
    for layer in range(2):
        weights[f"net.encoder_layers.{layer}.norm.weight"] = np.ones(8)
        weights[f"net.encoder_layers.{layer}.conformer.net.4.conv.weight"] = np.zeros((16, 1, 31))
    return checkpoint({"global_step": 1, "model": {n: w.astype("f4") for n, w in weights.items()}, "config_dict": told})


def test_fcpes_sizes_come_from_its_weights_and_its_settings() -> None:
    data = fcpe(model={"n_heads": 4, "f0_min": 40}, mel={"sr": 16_000, "hop_size": 160, "fmin": 0})
    read = read_fcpe(data)
    assert read.config == FcpeConfig(hidden=8, layers=2, heads=4, f0_min=40.0)
    assert isinstance(read.config.f0_min, float)
    np.testing.assert_allclose(read.weights["output_proj.weight"], np.full((360, 8), 8**-0.5), rtol=1e-6)
    assert "gaussian_blurred_cent_mask" not in read.weights
    assert inspect_model(data).kind is ModelKind.FCPE
    assert read_fcpe(fcpe()).config.f0_max == 1975.5
    for model in ({"f0_min": "x"}, {"f0_min": 1e300}, {"n_heads": -1}, {"n_heads": True}):
        with pytest.raises(ModelError):
            read_fcpe(fcpe(model=model))


def test_names_in_errors_are_short_and_printable(tmp_path: Path) -> None:
    shutil.copy(RVC / "hubert_tiny" / "model.safetensors", tmp_path / "a\x1b[31m.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "\x1b[31m" * 999}))
    with pytest.raises(UnsupportedModelError) as caught:
        read_hubert(tmp_path / "a\x1b[31m.safetensors")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
    twice = {
        "encoder.layers.9.fc1.\x1b": np.zeros(1),
        "encoder.layers.9.feed_forward.intermediate_dense.\x1b": np.zeros(1),
    }
    with pytest.raises(DamagedModelError) as caught_twice:
        read_hubert(checkpoint({"model": {**tiny(), **twice}}), heads=4)
    assert str(caught_twice.value).isprintable()


def test_a_content_model_that_claims_thousands_of_layers_is_refused_at_once() -> None:
    many = {f"encoder.layers.{i}.self_attn.q_proj.weight": np.zeros(1, np.float16) for i in range(1500)}
    with pytest.raises(UnsafeModelError, match="layers"):
        read_hubert(checkpoint({"model": {**tiny(), **many}}), heads=4)
