import pytest

from menura.errors import MenuraError
from menura.protocol.control import Control, ControlState
from menura.protocol.messages import MAX_AUDIO_BYTES, VoiceInfo

VOICES = {"robot": VoiceInfo(id="robot", name="Robot", category="character", description="")}
START = '{"action":"start","audio":{"source":"client"}}'


def refused(control: Control, text: str) -> tuple[str, str]:
    with pytest.raises(MenuraError) as caught:
        control.receive_text(text)
    return caught.value.code, str(caught.value)


def test_start_needs_a_voice() -> None:
    assert refused(Control(VOICES), START) == ("no_voice_selected", "No voice selected")


def test_second_start_is_refused_until_stopped() -> None:
    control = Control(VOICES)
    control.selected("robot")
    control.receive_text(START)
    control.started(client_audio=True)
    assert refused(control, START) == ("already_active", "Processing already active")
    control.stopped()
    control.receive_text(START)
    assert control.state is ControlState.IDLE


def test_unknown_voice_is_named() -> None:
    text = '{"action":"selectVoice","voiceId":"nobody"}'
    assert refused(Control(VOICES), text) == ("voice_not_found", "Voice not found: nobody")


def test_audio_only_while_processing_and_bounded() -> None:
    control = Control(VOICES)
    with pytest.raises(MenuraError, match="Audio without processing"):
        control.receive_audio(100)
    control.selected("robot")
    control.started(client_audio=False)
    with pytest.raises(MenuraError, match="Audio without processing"):
        control.receive_audio(100)
    control.stopped()
    control.started(client_audio=True)
    control.receive_audio(MAX_AUDIO_BYTES)
    with pytest.raises(MenuraError, match="too large"):
        control.receive_audio(MAX_AUDIO_BYTES + 1)
