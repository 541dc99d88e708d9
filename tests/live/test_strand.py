import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from menura.live.strand import Strand


def test_jobs_run_in_order_and_never_two_at_once() -> None:
    done: list[int] = []
    running = threading.Lock()
    finished = threading.Event()

    def job(number: int) -> None:
        assert running.acquire(blocking=False)
        done.append(number)
        running.release()
        if number == 999:
            finished.set()

    with ThreadPoolExecutor(4) as pool:
        strand = Strand(pool)
        for number in range(1000):
            strand.post(lambda number=number: job(number))
        assert finished.wait(10)
    assert done == list(range(1000))


def test_busy_strand_delays_another_by_one_job() -> None:
    order: list[str] = []
    begin, finished = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        busy, quiet = Strand(pool), Strand(pool)
        busy.post(lambda: begin.wait(10))
        for _ in range(50):
            busy.post(lambda: order.append("busy"))
        quiet.post(lambda: order.append("quiet"))
        busy.post(finished.set)
        begin.set()
        assert finished.wait(10)
    assert order.index("quiet") <= 1


def test_strand_lives_on_when_a_job_fails(caplog: pytest.LogCaptureFixture) -> None:
    finished = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        strand = Strand(pool)
        strand.post(lambda: 1 / 0)
        strand.post(finished.set)
        assert finished.wait(10)
    assert "ZeroDivisionError" in caplog.text
