import asyncio

from menura.server.outbox import Outbox


def test_oldest_audio_makes_way_and_replies_stay_in_order() -> None:
    async def scene() -> list[str | bytes]:
        outbox = Outbox(max_audio_bytes=10)
        for number in range(4):
            outbox.put_audio(bytes([number]) * 4)
            outbox.put_text(str(number))
        assert outbox.dropped_bytes == 8
        return [await outbox.get() for _ in range(6)]

    assert asyncio.run(scene()) == ["0", "1", b"\2" * 4, "2", b"\3" * 4, "3"]


def test_room_waits_until_replies_were_taken() -> None:
    async def scene() -> None:
        outbox = Outbox(max_audio_bytes=10, max_texts=2)
        outbox.put_text("a")
        outbox.put_text("b")
        waiting = asyncio.create_task(outbox.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        await outbox.get()
        await waiting

    asyncio.run(scene())


def test_get_waits_for_a_message() -> None:
    async def scene() -> None:
        outbox = Outbox(max_audio_bytes=10)
        getting = asyncio.create_task(outbox.get())
        await asyncio.sleep(0)
        outbox.put_text("late")
        assert await getting == "late"

    asyncio.run(scene())


def test_nobody_waits_for_room_once_closed() -> None:
    async def scene() -> None:
        outbox = Outbox(max_audio_bytes=10, max_texts=1)
        outbox.put_text("a")
        waiting = asyncio.create_task(outbox.room())
        await asyncio.sleep(0)
        outbox.close()
        await waiting
        outbox.put_text("b")
        outbox.put_audio(b"c")
        await outbox.room()

    asyncio.run(scene())
