"""What a voice's options may be, what stands for those that are not given, and that the guide names them all."""

import builtins
import importlib.util
from dataclasses import fields
from pathlib import Path

import pytest

from menura.errors import ConfigError, MissingExtraError
from menura.live.gui_config import GUIConfig
from menura.neural.options import Provider
from menura.neural.precision import flags_have_eight_bits
from menura.neural.stream.settings import RvcSettings
from menura.voices import rvc_plan
from menura.voices.rvc import check_rvc
from menura.voices.rvc_options import OPTIONS, PITCH_METHODS, QUALITIES, Kind, RvcOption
from menura.voices.rvc_plan import check_options, plan_options, settings_of

GUIDE = Path(__file__).parents[2] / "docs" / "rvc.md"
VOICE = {"model": "singer.pth"}


@pytest.fixture
def machine(monkeypatch):
    """A processor that has what is said, whatever this one has."""

    def be(*, bf16=False, int8=False, products=False):
        monkeypatch.setattr(rvc_plan, "bfloat16_sets", lambda: (8,) if products else ())
        monkeypatch.setattr(rvc_plan, "bfloat16_here", lambda: bf16)
        monkeypatch.setattr(rvc_plan, "eight_bits_here", lambda: int8)

    be()
    return be


# --- the table


def test_settings_are_those_of_the_stream_with_its_defaults():
    live = {option.name: option for option in OPTIONS.values() if option.live}
    assert list(live) != []
    assert set(live) == {field.name for field in fields(RvcSettings)}
    assert settings_of({name: option.default for name, option in live.items()}) == RvcSettings()
    for option in live.values():
        if option.kind is Kind.NUMBER:
            RvcSettings(**{option.name: option.low})
            RvcSettings(**{option.name: option.high})
            with pytest.raises(ConfigError, match=option.name):
                RvcSettings(**{option.name: option.high + 1})


def test_the_user_interface_has_the_same_names_and_defaults():
    names = {option.gui for option in OPTIONS.values() if option.gui}
    assert names == {field.name for field in fields(GUIConfig)}
    plain = check_options(VOICE, {})
    for name, value in check_options(GUIConfig(pth_path="singer.pth", block_time=0.24).options(), {}).items():
        assert value == plain[name], name


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_values_that_cannot_be_are_refused_by_name(option):
    bad = {
        Kind.CHOICE: ("other", 5), Kind.SWITCH: ("yes", 1), Kind.FILE: (5,),
        Kind.NUMBER: (option.low - 1, 2 * option.high + 1, float("nan"), "1", True), Kind.WHOLE: (1.5, -1, True),
    }[option.kind]  # fmt: skip
    for value in bad:
        with pytest.raises(ConfigError, match=rf"^{option.name} must be"):
            option.check(value)
        if option.gui and (not option.gui_unit or value != option.low - 1):  # ms, which may be seconds
            with pytest.raises(ConfigError, match=rf"^{option.gui} must be"):
                option.check(value, gui=True)


def test_an_option_that_is_none_is_told_with_all_that_are():
    with pytest.raises(ConfigError, match=r"unknown setting 'wet'; there are key_st, .*content"):
        check_rvc(**VOICE, wet=1)
    with pytest.raises(ConfigError, match="model"):
        check_rvc(pitch="tracker")


@pytest.mark.parametrize(
    ("method", "instead"), [("pm", "tracker"), ("harvest", "tracker"), ("dio", "tracker"), ("crepe", "rmvpe")]
)
def test_pitch_methods_of_other_programs_are_told_what_to_use_instead(method, instead):
    for call, name in (
        (lambda: check_rvc(**VOICE, pitch=method), "pitch"),
        (GUIConfig(f0method=method).check, "f0method"),
    ):
        with pytest.raises(ConfigError, match=rf"^{name} must be one of rmvpe, fcpe, .*not '{method}': .*'{instead}'"):
            call()
    assert method not in PITCH_METHODS


# --- presets


def test_a_preset_is_options_that_may_also_be_given_one_by_one(machine):
    machine(int8=True)
    for name, explicit in QUALITIES.items():
        assert plan_options(VOICE | {"quality": name}, {}) == plan_options(VOICE | dict(explicit), {})
        for option, value in explicit.items():
            OPTIONS[option].check(value)
    plan = plan_options(VOICE | {"quality": "best", "context_ms": 600.0}, {})
    assert (plan.precision, plan.context_ms) == ("fp32", 600.0)
    assert plan_options(VOICE, {}) == plan_options(VOICE | {"quality": "balanced"}, {})
    contexts = [plan_options(VOICE | {"quality": name}, {}).context_ms for name in QUALITIES]
    assert contexts == sorted(contexts, reverse=True)


@pytest.mark.parametrize(
    ("has", "provider", "precision", "runs_on"),
    [
        ({}, "cpu", "fp32", "cpu"),
        ({"int8": True}, "cpu", "int8", "cpu"),
        ({"bf16": True, "int8": True}, "cpu", "int8", "cpu"),
        ({"bf16": True}, "cpu", "bf16", "openvino"),
        ({"bf16": True}, "openvino", "bf16", "openvino"),
        ({"int8": True}, "openvino", "fp32", "openvino"),
        ({"bf16": True}, "cuda", "fp16", "cuda"),
        ({}, "directml", "fp32", "directml"),
    ],
)
def test_fast_is_what_the_machine_is_fast_in(machine, has, provider, precision, runs_on):
    machine(**has)
    plan = plan_options(VOICE | {"quality": "fast", "provider": provider}, {})
    assert (plan.precision, plan.runtime.provider, plan.int8) == (precision, Provider(runs_on), precision == "int8")
    assert plan.runtime.bfloat16 == (precision == "bf16")
    assert plan.runtime.float16 == (precision == "fp16")
    assert not plan.pitch_runtime.bfloat16
    assert not plan.pitch_runtime.float16


@pytest.mark.parametrize(
    ("provider", "precision", "has"),
    [("cuda", "int8", "fp32, fp16"), ("cpu", "fp16", "fp32, int8, bf16"), ("openvino", "int8", "fp32, bf16")],
)
def test_a_precision_that_a_provider_has_not_is_refused_with_those_it_has(provider, precision, has):
    with pytest.raises(ConfigError, match=rf"precision '{precision}' .*'{provider}', which has {has} and auto"):
        check_rvc(**VOICE, provider=provider, precision=precision)


def test_a_fast_voice_is_decoded_in_bfloat16_where_the_processor_has_it(machine):
    machine(int8=True, products=True)
    decoders = {name: plan_options(VOICE | {"quality": name}, {}).decoder for name in QUALITIES}
    assert decoders == {"best": "fp32", "balanced": "fp32", "fast": "bf16", "lightest": "bf16"}
    plan = plan_options(VOICE | {"quality": "fast"}, {})
    assert (plan.voice_runtime.bfloat16, plan.runtime.bfloat16, plan.pitch_runtime.bfloat16) == (True, False, False)
    assert plan_options(VOICE | {"quality": "fast", "decoder": "fp32"}, {}).decoder == "fp32"
    assert plan_options(VOICE | {"decoder": "bf16"}, {}).decoder == "bf16"
    assert GUIConfig(quality="lightest", decoder="fp32").plan().decoder == "fp32"
    for provider in ("openvino", "cuda"):
        assert plan_options(VOICE | {"quality": "fast", "provider": provider}, {}).decoder == "fp32"


def test_a_decoder_that_is_asked_for_is_refused_where_it_cannot_be(machine):
    assert plan_options(VOICE | {"quality": "fast"}, {}).decoder == "fp32"
    check_rvc(**VOICE, decoder="bf16")  # it may be for another machine
    with pytest.raises(ConfigError, match=r"no products of bfloat16 .*'auto'"):
        plan_options(VOICE | {"decoder": "bf16"}, {})
    with pytest.raises(ConfigError, match=r"decoder 'bf16' is of provider 'cpu'"):
        check_rvc(**VOICE, decoder="bf16", provider="cuda")


def test_a_precision_that_is_asked_for_says_what_installs_it(monkeypatch):
    """A preset falls back; what is asked for by name does not."""
    real_import, real_find = builtins.__import__, importlib.util.find_spec

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "openvino":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr("menura.extras.import_module", without)
    monkeypatch.setattr("menura.neural.precision.find_spec", lambda n: None if n == "openvino" else real_find(n))
    rvc_plan.bfloat16_here.cache_clear()
    assert plan_options(VOICE | {"quality": "fast"}, {}).precision in ("int8", "fp32")
    plan = plan_options(VOICE | {"precision": "bf16"}, {})
    from menura.neural.runtime import open_session

    with pytest.raises(MissingExtraError, match=r"pip install 'menura\[openvino\]'"):
        open_session(None, plan.runtime)
    rvc_plan.bfloat16_here.cache_clear()


def test_flags_of_a_processor_are_read():
    assert flags_have_eight_bits("processor : 0\nFeatures : fp asimd asimddp")
    assert not flags_have_eight_bits("vendor_id : avx512_vnni\nflags : avx2")


# --- a machine's own


def test_the_environment_stands_for_what_a_voice_does_not_say():
    environment = {"MENURA_QUALITY": "best", "MENURA_THREADS": "2", "MENURA_PROVIDER": "cuda"}
    plan = plan_options(VOICE | {"threads": 0}, environment)
    assert (plan.context_ms, plan.runtime.threads, plan.runtime.provider) == (2000.0, 2, Provider.CUDA)
    own = plan_options(
        VOICE | {"quality": "lightest", "threads": 1, "provider": "cpu", "precision": "fp32"}, environment
    )
    assert (own.context_ms, own.runtime.threads, own.runtime.provider) == (500.0, 1, Provider.CPU)


@pytest.mark.parametrize(
    ("name", "value"), [("MENURA_THREADS", "many"), ("MENURA_THREADS", "-1"), ("MENURA_QUALITY", "good")]
)
def test_an_environment_that_cannot_be_is_told_by_its_name(name, value):
    with pytest.raises(ConfigError, match=f"^{name}: "):
        plan_options(VOICE, {name: value})


# --- what goes together


def test_a_voice_may_be_kept_from_adapting(machine):
    assert plan_options(VOICE, {}).adapt
    assert not plan_options(VOICE | {"adapt": False}, {}).adapt
    assert not plan_options(VOICE | {"scheme": "official"}, {}).adapt
    assert not plan_options(VOICE | {"provider": "tensorrt"}, {}).adapt
    assert not GUIConfig(adapt=False).plan().adapt


def test_the_official_scheme_has_its_limit():
    check_rvc(**VOICE, scheme="official", context_ms=9940.0)
    with pytest.raises(ConfigError, match=r"10\.18 s"):
        check_rvc(**VOICE, scheme="official", context_ms=20_000.0)


# --- the guide


def shown(number: float) -> str:
    return f"{number:,g}".replace("-", "−")


def row(option: RvcOption) -> str:
    """As the guide has it."""
    gui = f"`{option.gui}`" if option.gui else "–"
    if option.gui_unit:
        gui += f" ({option.gui_unit})"
    if option.kind is Kind.CHOICE:
        values = ", ".join(f"`{choice}`" for choice in option.choices)
    elif option.kind is Kind.SWITCH:
        values = "`true`, `false`"
    elif option.kind is Kind.FILE:
        values = "a path"
    elif option.high == float("inf"):
        values = f"from {shown(option.low)}"
    else:
        values = f"{shown(option.low)}…{shown(option.high)}"
        if option.gui_range and not option.gui_unit:
            values += f" (`{option.gui}`: {shown(option.gui_range[0])}…{shown(option.gui_range[1])})"
    default = option.default
    if default is None:
        default = "" if option.kind is Kind.FILE else "`quality`"
    elif option.kind is Kind.CHOICE:
        default = f"`{default}`"
    elif option.kind is Kind.SWITCH:
        default = f"`{str(default).lower()}`"
    else:
        default = shown(default)
    return f"| `{option.name}` | {gui} | {values} | {default} | {option.what} |"


def test_the_guide_has_every_option_as_it_is():
    text = GUIDE.read_text(encoding="utf-8")
    for option in OPTIONS.values():
        assert row(option) in text, f"docs/rvc.md lacks the row\n{row(option)}"
    for name, explicit in QUALITIES.items():
        line = (
            f"| `{name}` | `{explicit['precision']}` | `{explicit['decoder']}` | {shown(explicit['context_ms'])} ms |"
        )
        assert line in text, f"docs/rvc.md lacks the row\n{line}"
