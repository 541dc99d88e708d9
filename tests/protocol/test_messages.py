import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menura.errors import DeviceError, ModelError, ProtocolError, VoiceNotFoundError
from menura.protocol import messages
from menura.protocol.messages import error_reply, parse_action

GOLDEN = json.loads(Path("tests/wire/control.json").read_text())


@pytest.mark.parametrize("text", [json.dumps(m) for m in GOLDEN["actions"]])
def test_golden_action_is_read(text: str) -> None:
    action = parse_action(text)
    assert action.action == json.loads(text)["action"]


@pytest.mark.parametrize(("text", "says"), [(m["text"], m["error"]) for m in GOLDEN["refused"]])
def test_golden_refusal_says_why(text: str, says: str) -> None:
    with pytest.raises(ProtocolError, match="^" + says):
        parse_action(text)


def test_golden_replies_are_what_is_sent() -> None:
    replies = GOLDEN["replies"]
    voice = messages.VoiceInfo(id="robot", name="Robot", category="character", description="One pitch")
    assert messages.connected() == replies["connected"]
    assert messages.voices_reply([voice]) == replies["voices"]
    assert messages.voice_selected(voice) == replies["voiceSelected"]
    assert messages.parameters_set({"pitch_st": 3.0, "formant": 1.1, "mix": 1.0}) == replies["parametersSet"]
    assert error_reply(VoiceNotFoundError("Voice not found: x")) == replies["error"]
    assert error_reply(DeviceError("Audio device not available: another session is using it")) == replies["deviceError"]
    assert error_reply(ModelError("Model loading failed")) == replies["modelError"]


def test_long_text_is_refused() -> None:
    with pytest.raises(ProtocolError, match="too large"):
        parse_action('{"action":"getVoices","x":"' + "x" * messages.MAX_TEXT_BYTES + '"}')


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ProtocolError):
        parse_action('{"action":' + "[" * 30000 + "]" * 30000 + "}")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_gives_an_action_or_a_protocol_error(value: object) -> None:
    try:
        parse_action(json.dumps(value))
    except ProtocolError as error:
        assert str(error)


@given(st.text())
def test_any_text_gives_an_action_or_a_protocol_error(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_action(text)
