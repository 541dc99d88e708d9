"""Other voices for a voice between two channels, by messages of a third."""

import asyncio
import json
from collections.abc import AsyncIterable, Callable

from menura.channels.voice import ChannelVoice
from menura.errors import MenuraError, ProtocolError
from menura.protocol.control_actions import SelectVoice, SetParameters
from menura.protocol.messages import parse_action
from menura.voices.voice import Voice, VoiceParameters

__all__ = ["Find", "obey"]

Find = Callable[[str], tuple[Voice, VoiceParameters]]


async def obey(orders: AsyncIterable[object], voice: ChannelVoice, find: Find, tell: Callable[[str], None]) -> None:
    """Do what is asked for, until there are no more orders.

    Args:
        orders: ``{"action": "selectVoice", "voiceId": …}`` and ``{"action": "setParameters", "parameters": {…}}``, as
            the control socket takes them; a subscription, say. A voice begins with its own settings.
        voice: Which obeys.
        find: Gives a voice and its settings by its id; called in a thread.
        tell: Told in a line what was done, or why not: an order that cannot be followed changes nothing.
    """
    async for order in orders:
        try:
            tell(await _follow(order, voice, find))
        except MenuraError as error:
            tell(str(error))


async def _follow(order: object, voice: ChannelVoice, find: Find) -> str:
    try:
        action = parse_action(json.dumps(order))
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, MenuraError):
            raise
        raise ProtocolError("an order is a JSON object with an action") from None
    if isinstance(action, SelectVoice):
        found, own = await asyncio.to_thread(find, action.voice_id)
        await voice.switch(found, own)
        return f"the voice is {found.name}"
    if isinstance(action, SetParameters):
        settings = voice.parameters.changed(action.parameters)
        voice.set(settings)
        return ", ".join(f"{name} {value:g}" for name, value in settings.as_dict().items())
    raise ProtocolError(f"an order is selectVoice or setParameters, not {action.action}")
