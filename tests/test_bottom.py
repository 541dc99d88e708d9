import logging

import pytest

import menura
from menura import errors, extras, units
from menura.clock import VirtualClock, monotonic_s
from menura.log import get_logger, log_internal_error


def test_every_public_name_can_be_imported() -> None:
    for name in menura.__all__:
        assert getattr(menura, name) is not None
    assert set(menura.__all__) <= set(dir(menura))
    with pytest.raises(AttributeError, match="nonsense"):
        menura.nonsense  # noqa: B018


def test_codes_of_errors_are_distinct_and_errors_keep_their_second_base() -> None:
    classes = [made for name in errors.__all__ if isinstance(made := getattr(errors, name), type)]
    assert len({cls.code for cls in classes}) == len(classes)
    for cls, base in [
        (errors.StateError, RuntimeError),
        (errors.FormatError, ValueError),
        (errors.DeviceError, OSError),
        (errors.MissingExtraError, ImportError),
    ]:
        assert issubclass(cls, base)
        assert str(cls("what to do")) == "what to do"


def test_missing_package_says_how_to_install_it() -> None:
    with pytest.raises(errors.MissingExtraError, match=r"pip install 'menura\[neural\]'"):
        extras.need("no_such_package", extra="neural")
    assert extras.need("json", extra="x").dumps([]) == "[]"


def test_units_there_and_back() -> None:
    assert units.gain_to_db(units.db_to_gain(-20.0)) == pytest.approx(-20.0)
    assert units.ratio_to_st(units.st_to_ratio(7.0)) == pytest.approx(7.0)
    assert units.frames_to_ms(units.ms_to_frames(20, 48000), 48000) == 20.0


def test_clocks_do_not_go_back() -> None:
    assert monotonic_s() <= monotonic_s()
    clock = VirtualClock()
    clock.advance(1.5)
    assert clock() == 1.5


def test_internal_error_is_logged_under_the_id_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    log_id = log_internal_error(get_logger("test"), "something failed", ValueError("secret"))
    assert log_id in caplog.text
    assert "secret" in caplog.text
