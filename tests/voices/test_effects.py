import numpy as np
import pytest

from menura.errors import ConfigError
from menura.voices.build import KINDS
from menura.voices.effects import EFFECTS, EffectParam, check_effects, make_effects
from tests.streaming import run, speechlike

CASES = [
    (kind.kind, params)
    for kind in EFFECTS.values()
    for params in [
        {},
        *({param.name: value} for param in kind.params for value in (param.min, param.max)),
        {param.name: param.min for param in kind.params},
        {param.name: param.max for param in kind.params},
    ]
]


@pytest.mark.parametrize("kind", EFFECTS)
def test_catalogue_entry_is_whole(kind: str) -> None:
    effect = EFFECTS[kind]
    assert effect.kind == kind
    assert kind in KINDS
    assert effect.name
    assert effect.description
    for param in effect.params:
        assert param.min <= param.default <= param.max
        assert 0.0 < param.step <= param.max - param.min


@pytest.mark.parametrize(("kind", "params"), CASES)
def test_effect_at_its_ends_is_finite_and_bounded(kind: str, params: dict[str, float]) -> None:
    for rate in (16_000, 48_000):
        chain = make_effects(check_effects([{"kind": kind, "params": params}]), rate)
        y = run(chain, 4.0 * speechlike(rate // 4, rate))
        assert np.all(np.isfinite(y))
        assert np.abs(y).max() <= 1.0


@pytest.mark.parametrize("kind", EFFECTS)
def test_effect_is_the_same_as_a_stage_of_a_voice(kind: str) -> None:
    """What a page sends as an effect it may store in a voice as it is."""
    turned = {param.name: param.max - 2 * param.step for param in EFFECTS[kind].params}
    params = {name: int(value) if value == int(value) else value for name, value in turned.items()}  # as JSON has them
    x = speechlike(8000, 16_000)
    (effect,) = check_effects([{"kind": kind, "params": params}])
    heard = run(EFFECTS[kind].make(16_000, 1, **effect.params), x)
    np.testing.assert_array_equal(run(KINDS[kind](16_000, 1, **params), x), heard)


def test_all_effects_in_a_chain_are_the_same_however_the_input_is_cut() -> None:
    kinds = list(EFFECTS)
    for chosen in (kinds[:8], kinds[6:]):
        effects = check_effects([{"kind": kind} for kind in chosen])
        x = speechlike(12_000, 24_000, 2)
        whole = run(make_effects(effects, 24_000, 2), x, (len(x),))
        np.testing.assert_array_equal(run(make_effects(effects, 24_000, 2), x, (1, 480, 77, 0, 1024)), whole)


def test_no_effect_and_disabled_ones_pass_everything_through() -> None:
    x = speechlike(4800, 48_000)
    for effects in ([], [{"kind": "robot", "enabled": False}]):
        chain = make_effects(check_effects(effects), 48_000)
        assert chain.latency == 0
        np.testing.assert_array_equal(chain.process(x), x)


@pytest.mark.parametrize(
    ("effects", "says"),
    [
        ([{"kind": "teleport"}], "unknown effect 'teleport'; there are equalizer"),
        ([{"kind": "echo", "params": {"warp": 1.0}}], "echo: unknown parameter 'warp'"),
        ([{"kind": "echo", "params": {"mix": 1.5}}], "echo: mix must be a number from 0 to 1"),
        ([{"kind": "echo", "params": {"mix": True}}], "echo: mix must be a number"),
        ([{"kind": "echo", "params": {"mix": "loud"}}], "echo: mix must be a number"),
        ([{"kind": "echo", "params": {"mix": float("nan")}}], "echo: mix must be a number"),
        ([{"kind": "echo", "params": {"mix": 10**400}}], "echo: mix must be a number from 0 to 1, not 10{39}$"),
        ([{"kind": "chorus", "params": {"voices": 2.5}}], "chorus: voices must be a whole number"),
        ([{"kind": "gain"}] * 9, "at most 8 effects"),
    ],
)
def test_what_cannot_be_is_refused_by_name(effects: list[dict[str, object]], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check_effects(effects)


def test_what_is_missing_is_filled_in() -> None:
    (effect,) = check_effects([{"kind": "echo", "params": {"mix": 1}}])
    assert effect.as_dict()["params"] == {"delay_ms": 280.0, "feedback": 0.35, "mix": 1.0, "damp_hz": 5000.0}
    assert EFFECTS["echo"].as_dict()["params"][0]["type"] == "number"
    assert isinstance(EFFECTS["echo"].params[0], EffectParam)
