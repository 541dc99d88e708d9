"""One event of each type a Realtime provider sends, as small as the API allows."""

from typing import Any

_PART = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
_ITEM = {"id": "i", "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
_CALL = {"response_id": "r", "item_id": "i", "output_index": 0}

_FIELDS: dict[str, dict[str, Any]] = {
    "conversation.created": {"conversation": {"id": "c", "object": "realtime.conversation"}},
    "conversation.item.added": {"item": _ITEM},
    "conversation.item.created": {"item": _ITEM},
    "conversation.item.deleted": {"item_id": "i"},
    "conversation.item.done": {"item": _ITEM, "previous_item_id": None},
    "conversation.item.input_audio_transcription.completed": {
        "item_id": "i",
        "content_index": 0,
        "transcript": "hello",
        "usage": {"type": "duration", "seconds": 1.0},
    },
    "conversation.item.input_audio_transcription.delta": {"item_id": "i", "content_index": 0, "delta": "he"},
    "conversation.item.input_audio_transcription.failed": {
        "item_id": "i",
        "content_index": 0,
        "error": {"type": "server_error", "message": "no"},
    },
    "conversation.item.input_audio_transcription.segment": {
        "item_id": "i",
        "content_index": 0,
        "id": "s",
        "text": "a",
        "speaker": "b",
        "start": 0.0,
        "end": 1.5,
    },
    "conversation.item.retrieved": {"item": _ITEM},
    "conversation.item.truncated": {"item_id": "i", "content_index": 0, "audio_end_ms": 1480},
    "error": {"error": {"type": "invalid_request_error", "code": "invalid_value", "message": "no", "event_id": "c1"}},
    "input_audio_buffer.cleared": {},
    "input_audio_buffer.committed": {"item_id": "i", "previous_item_id": None},
    "input_audio_buffer.dtmf_event_received": {"event": "9", "received_at": 1},
    "input_audio_buffer.speech_started": {"item_id": "i", "audio_start_ms": 1000},
    "input_audio_buffer.speech_stopped": {"item_id": "i", "audio_end_ms": 2000},
    "input_audio_buffer.timeout_triggered": {"item_id": "i", "audio_start_ms": 0, "audio_end_ms": 1},
    "mcp_list_tools.completed": {"item_id": "i"},
    "mcp_list_tools.failed": {"item_id": "i"},
    "mcp_list_tools.in_progress": {"item_id": "i"},
    "output_audio_buffer.cleared": {"response_id": "r"},
    "output_audio_buffer.started": {"response_id": "r"},
    "output_audio_buffer.stopped": {"response_id": "r"},
    "rate_limits.updated": {"rate_limits": [{"name": "tokens", "limit": 1, "remaining": 1, "reset_seconds": 0.5}]},
    "response.content_part.added": _PART | {"part": {"type": "audio"}},
    "response.content_part.done": _PART | {"part": {"type": "audio"}},
    "response.created": {"response": {"id": "r", "object": "realtime.response", "status": "in_progress"}},
    "response.done": {
        "response": {
            "id": "r",
            "status": "cancelled",
            "status_details": {"type": "cancelled", "reason": "turn_detected"},
            "usage": {"total_tokens": 1},
        }
    },
    "response.function_call_arguments.delta": _CALL | {"call_id": "c", "delta": "{"},
    "response.function_call_arguments.done": _CALL | {"call_id": "c", "arguments": "{}", "name": "f"},
    "response.mcp_call.completed": {"item_id": "i", "output_index": 0},
    "response.mcp_call.failed": {"item_id": "i", "output_index": 0},
    "response.mcp_call.in_progress": {"item_id": "i", "output_index": 0},
    "response.mcp_call_arguments.delta": _CALL | {"delta": "{"},
    "response.mcp_call_arguments.done": _CALL | {"arguments": "{}"},
    "response.output_audio.delta": _PART | {"delta": "AAAA"},
    "response.output_audio.done": _PART,
    "response.output_audio_transcript.delta": _PART | {"delta": "he"},
    "response.output_audio_transcript.done": _PART | {"transcript": "hello"},
    "response.output_item.added": {"response_id": "r", "output_index": 0, "item": _ITEM},
    "response.output_item.done": {"response_id": "r", "output_index": 0, "item": _ITEM},
    "response.output_text.delta": _PART | {"delta": "he"},
    "response.output_text.done": _PART | {"text": "hello"},
    "session.created": {"session": {"type": "realtime", "id": "sess_1"}},
    "session.updated": {"session": {"type": "realtime", "id": "sess_1"}},
}

SAMPLES: list[dict[str, Any]] = [{"type": name, "event_id": "e"} | fields for name, fields in _FIELDS.items()]
