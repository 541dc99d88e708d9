"""What a checkpoint is, by its keys."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import numpy as np

__all__ = ["ModelKind", "kind_of", "table_of"]


class ModelKind(StrEnum):
    """Kinds of model files that menura tells apart; the values are what they are called in messages."""

    VOICE = "an RVC voice"
    RVC_TRAINING = "a training checkpoint of RVC (G_….pth or D_….pth): extract the voice from it in RVC first"
    HUBERT = "a HuBERT or ContentVec content model"
    RMVPE = "an RMVPE pitch model"
    FCPE = "an FCPE pitch model"
    INDEX = "an index of a voice"
    SO_VITS = "a so-vits-svc voice: menura plays RVC voices"
    DDSP = "a DDSP-SVC voice: menura plays RVC voices"
    GPT_SOVITS = "a GPT-SoVITS model (text to speech): menura plays RVC voices"
    DIFFUSION = "a diffusion model of so-vits-svc: menura plays RVC voices"
    UVR = "a model that separates vocals (UVR): menura plays RVC voices"
    LIGHTNING = "a training checkpoint of PyTorch Lightning: menura plays RVC voices"
    OTHER = "a model of another kind"


Test = Callable[[Mapping[Any, Any], set[str]], bool]


def _has(*names: str) -> Test:
    return lambda top, keys: all(name in keys for name in names)


def _begins(*starts: str) -> Test:
    return lambda top, keys: all(any(key.startswith(start) for key in keys) for start in starts)


_TESTS: tuple[tuple[ModelKind, Test], ...] = (
    (ModelKind.GPT_SOVITS, _begins("enc_p.text_embedding", "enc_p.ssl_proj")),
    (ModelKind.GPT_SOVITS, _begins("model.h.layers.", "model.bert_proj")),
    (ModelKind.GPT_SOVITS, _begins("enc_p.mrte.")),
    (ModelKind.RVC_TRAINING, lambda top, keys: "iteration" in top and _rvc(keys)),
    (ModelKind.RVC_TRAINING, lambda top, keys: "iteration" in top and "discriminators.0.convs.0.weight_v" in keys),
    (ModelKind.VOICE, lambda top, keys: "weight" in top and _rvc(keys)),
    (ModelKind.SO_VITS, _begins("enc_p.f0_emb")),
    (ModelKind.SO_VITS, _begins("f0_decoder.")),
    (ModelKind.DDSP, _begins("unit2ctrl.")),
    (ModelKind.DIFFUSION, _begins("decoder.denoise_fn.")),
    (ModelKind.HUBERT, _begins("feature_extractor.conv_layers.0.0.weight", "post_extract_proj.")),
    (ModelKind.HUBERT, lambda top, keys: any("feature_extractor.conv_layers.0.conv.weight" in key for key in keys)),
    (ModelKind.RMVPE, _begins("unet.encoder.", "cnn.weight")),
    (ModelKind.FCPE, _has("cent_table", "input_stack.0.weight")),
    (ModelKind.UVR, _begins("stg1_low_band_net.")),
    (ModelKind.LIGHTNING, lambda top, keys: "pytorch-lightning_version" in top),
    (ModelKind.RVC_TRAINING, lambda top, keys: "model" in top and "config" not in top and _rvc(keys)),
    (ModelKind.VOICE, lambda top, keys: _rvc(keys)),
)
"""In this order: the first that holds decides."""


def _rvc(keys: set[str]) -> bool:
    return "enc_p.emb_phone.weight" in keys or ("emb_g.weight" in keys and "dec.conv_pre.weight" in keys)


def table_of(value: Any) -> Mapping[Any, Any]:
    """The table of weights in what a checkpoint holds: where tools of this field put it."""
    if not isinstance(value, dict):
        return {}
    for key in ("weight", "model", "state_dict", "generator", "model_state_dict", "net_g"):
        inner = value.get(key)
        if isinstance(inner, dict) and any(isinstance(array, np.ndarray) for array in inner.values()):
            return inner
    return value


def kind_of(value: Any) -> ModelKind:
    """What a checkpoint, read by :func:`~menura.neural.files.checkpoint.read_checkpoint`, is."""
    table = table_of(value)
    keys = {key for key in table if isinstance(key, str)}
    top = value if isinstance(value, dict) else {}
    return next((kind for kind, test in _TESTS if test(top, keys)), ModelKind.OTHER)
