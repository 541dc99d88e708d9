import asyncio

import pytest

from menura.live.eager import begin


def test_coroutine_that_waits_for_nothing_is_done_at_once() -> None:
    done = []

    async def job() -> None:
        done.append(1)

    assert begin(job()) is None
    assert done == [1]


def test_what_it_raises_at_once_is_raised() -> None:
    async def job() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        begin(job())


def test_rest_of_a_coroutine_goes_on_where_it_waits() -> None:
    async def whole() -> None:
        event, said = asyncio.Event(), list[str]()

        async def job(fail: bool) -> None:
            said.append("begun")
            await event.wait()
            await asyncio.sleep(0)
            said.append("woken")
            if fail:
                raise ValueError("no")

        rests = [begin(job(fail)) for fail in (False, True)]
        assert said == ["begun", "begun"]
        event.set()
        for rest, error in zip(rests, (None, ValueError), strict=True):
            assert rest is not None
            [outcome] = await asyncio.gather(rest, return_exceptions=True)
            assert outcome is None if error is None else isinstance(outcome, error)
        assert said == ["begun", "begun", "woken", "woken"]

    asyncio.run(whole())


def test_rest_that_is_cancelled_cleans_up() -> None:
    async def whole() -> None:
        ended = []

        async def job() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(1)

        rest = begin(job())
        assert rest is not None

        async def carry() -> None:
            await rest

        task = asyncio.create_task(carry())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [1]

    asyncio.run(whole())
