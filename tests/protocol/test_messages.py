import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menura.audio.format import AudioFormat
from menura.errors import DeviceError, ModelError, ProtocolError, RateLimitError, VoiceNotFoundError
from menura.protocol import control_replies as replies
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


ROBOT = replies.VoiceInfo(id="robot", name="Robot", category="character", description="One pitch")
RECORDING = replies.Recording(
    id="recording-1",
    name="Monday",
    state="recording",
    sides=["input", "output"],
    voice_name="Robot",
    rate=48_000,
    duration_ms=0.0,
    size=0,
    created_at="2026-11-21T12:00:00Z",
)
SENT = {
    "connected": replies.Connected(),
    "voices": replies.Voices(voices=[ROBOT]),
    "libraryVoices": replies.Voices(
        voices=[
            ROBOT.model_copy(
                update={
                    "builtin": True,
                    "favourite": False,
                    "preview": True,
                    "parameters": replies.VoiceSettings(pitch_st=-4.0, formant=0.9, mix=1.0),
                }
            )
        ]
    ),
    "voicesChanged": replies.VoicesChanged(),
    "voiceSelected": replies.VoiceSelected(voice=ROBOT.summary),
    "voicesMixed": replies.VoicesMixed(
        voices=[
            replies.MixedVoice(id="robot", name="Robot", category="character", gain=0.5),
            replies.MixedVoice(id="whisper", name="Whisper", category="character", gain=0.25),
        ]
    ),
    "parametersSet": replies.ParametersSet(parameters={"pitch_st": 3.0, "formant": 1.1, "mix": 1.0}),
    "audioConfigured": replies.AudioConfigured(
        audio=replies.AudioInUse(
            sample_rate=16_000,
            format=AudioFormat.PCM_F32,
            output=replies.AudioOutput(sample_rate=48_000, format=AudioFormat.PCM_F32),
        )
    ),
    "inputSet": replies.InputSet(
        input=replies.InputSettings(muted=True, gain_db=-6.0, noise_suppression=True, auto_gain=False)
    ),
    "effectsSet": replies.EffectsSet(
        effects=[
            replies.AppliedEffect(
                kind="echo",
                params={"delay_ms": 300.0, "feedback": 0.4, "mix": 0.35, "damp_hz": 5000.0},
                enabled=True,
            )
        ]
    ),
    "previewStarted": replies.PreviewStarted(
        voice=ROBOT.summary,
        sample_rate=24_000,
        format=AudioFormat.PCM16,
        duration_ms=4200.0,
        url="/api/voices/robot/preview",
    ),
    "previewEnded": replies.PreviewEnded(voice_id="robot"),
    "recordingStarted": replies.RecordingStarted(recording=RECORDING),
    "recordingStopped": replies.RecordingStopped(
        recording=RECORDING.model_copy(
            update={
                "state": "done",
                "duration_ms": 1500.0,
                "size": 288_000,
                "ended_at": "2026-11-21T12:00:01.500000Z",
            }
        )
    ),
    "status": replies.Status(
        status=replies.StatusFigures(
            processing=True, input_level=0.65, output_level=0.72, latency_ms=45.2, processing_time_ms=12.8
        ),
        details={"algorithm_ms": 31.5, "recording": 0.0, "muted": 1.0},
    ),
    "statusInterval": replies.StatusInterval(interval_ms=200),
}


@pytest.mark.parametrize("name", SENT)
def test_golden_reply_is_what_is_sent(name: str) -> None:
    golden = GOLDEN["replies"][name]
    sent = SENT[name].as_dict()
    assert sent == golden
    if name in ("connected", "voices", "voiceSelected", "parametersSet", "status"):  # in the document's order
        assert list(sent) == list(golden)


def test_golden_errors_are_what_is_sent() -> None:
    golden = GOLDEN["replies"]
    assert error_reply(VoiceNotFoundError("Voice not found: x")) == golden["error"]
    assert error_reply(DeviceError("Audio device not available: another session is using it")) == golden["deviceError"]
    assert error_reply(ModelError("Model loading failed")) == golden["modelError"]
    assert error_reply(RateLimitError("Too many requests in a short time", retry_after_ms=50)) == golden["rateLimited"]
    assert {reply["type"] for reply in golden.values()} == {
        model.model_fields["type"].default for model in messages.REPLY_MODELS
    }


def test_every_action_has_a_golden_message_and_a_schema() -> None:
    assert {action["action"] for action in GOLDEN["actions"]} == set(messages.NAMES)
    for model in messages.WIRE_MODELS:
        assert model.model_json_schema()["properties"]


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
