"""What was said in a conversation, as text, so that a new session can be told."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from menura.protocol.realtime_server import (
    Item,
    ItemEvent,
    ItemReference,
    ItemTruncated,
    ServerEvent,
    TextDone,
    TranscriptDone,
    TranscriptionCompleted,
)

__all__ = ["Conversation"]

_MAX_TEXT = 16_384
_CALLS = frozenset({"function_call", "function_call_output"})
_PARTS = {"user": "input_text", "system": "input_text", "assistant": "output_text"}


@dataclass(slots=True)
class _Entry:
    role: str
    text: str = ""
    heard: float = 1.0
    whole: dict[str, Any] | None = None  # of a call, as it is


class Conversation:
    """The last items of a conversation: messages by their text or transcript, calls of functions and their outputs.

    What a user said is known where the session has ``transcription``. Of an answer that was cut short the text is as
    long as its share of audio that was heard.

    Args:
        max_items: 0 remembers nothing.

    >>> conversation = Conversation(8)
    >>> conversation.see(TextDone(type="response.output_text.done", item_id="i", output_index=0, response_id="r",
    ...     content_index=0, text="Hello."), 1.0)
    >>> conversation.items()
    [{'id': 'i', 'type': 'message', 'role': 'assistant', 'content': [{'type': 'output_text', 'text': 'Hello.'}]}]
    """

    def __init__(self, max_items: int) -> None:
        self._max = max_items
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def see(self, event: ServerEvent, heard: float) -> None:
        """Take in what an event tells.

        Args:
            event: Any.
            heard: Of an item that was truncated, the share of its audio that was heard, 0–1.
        """
        if not self._max:
            return
        if isinstance(event, TextDone):
            self._entry(event.item_id, "assistant").text = event.text[:_MAX_TEXT]
        elif isinstance(event, TranscriptDone):
            self._entry(event.item_id, "assistant").text = event.transcript[:_MAX_TEXT]
        elif isinstance(event, TranscriptionCompleted):
            self._entry(event.item_id, "user").text = event.transcript[:_MAX_TEXT]
        elif isinstance(event, ItemEvent):
            self._see_item(event.item)
        elif isinstance(event, ItemTruncated):
            self._entry(event.item_id, "assistant").heard = heard  # its transcript may still come
        elif isinstance(event, ItemReference) and event.type == "conversation.item.deleted":
            self._entries.pop(event.item_id, None)

    def _entry(self, item_id: str, role: str) -> _Entry:
        entry = self._entries.get(item_id)
        if entry is None:
            entry = self._entries[item_id] = _Entry(role)
            if len(self._entries) > self._max:
                self._entries.popitem(last=False)
        return entry

    def _see_item(self, item: Item) -> None:
        if not item.id:
            return
        if item.type in _CALLS:
            self._entry(item.id, "").whole = {k: v for k, v in item.to_dict().items() if k not in ("object", "status")}
            return
        role, content = item.get("role"), item.get("content")
        if item.type != "message" or role not in _PARTS:
            return
        entry = self._entry(item.id, role)
        said = [part.get("text") or part.get("transcript") for part in content or () if isinstance(part, dict)]
        text = " ".join(part for part in said if isinstance(part, str))
        entry.text = text[:_MAX_TEXT] or entry.text

    def items(self) -> list[dict[str, Any]]:
        """The items for a new session, as ``conversation.item.create`` takes them, under their ids. Those without text
        are left out, and a call or an output whose other half is not there."""
        calls = [entry.whole.get("call_id") for entry in self._entries.values() if entry.whole]
        out = list[dict[str, Any]]()
        for item_id, entry in self._entries.items():
            if entry.whole is not None:
                if calls.count(entry.whole.get("call_id")) == len(_CALLS):
                    out.append(entry.whole)
                continue
            entry.text, entry.heard = entry.text[: round(len(entry.text) * entry.heard)], 1.0
            if entry.text:
                part = {"type": _PARTS[entry.role], "text": entry.text}
                out.append({"id": item_id, "type": "message", "role": entry.role, "content": [part]})
        return out

    def clear(self) -> None:
        """Forget all of it."""
        self._entries.clear()
