"""Ending a command."""

import signal
import sys

import pytest

from menura.cli.interrupt import ended_politely, until_interrupted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDS)
def test_each_way_to_end_it_lets_it_finish_and_a_second_does_not(number: signal.Signals) -> None:
    # whoever runs the tests behind nohup has it ignored
    before = signal.signal(number, signal.default_int_handler)
    try:
        with ended_politely(), until_interrupted() as ended:
            assert not ended.is_set()
            signal.raise_signal(number)
            assert ended.is_set()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_what_is_ignored_stays_so() -> None:
    """A program behind ``nohup`` outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_politely(), until_interrupted() as ended:
            signal.raise_signal(signal.SIGHUP)
            assert not ended.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)
