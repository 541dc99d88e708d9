"""Whatever a client sends: it is an action, or refused with a text."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from menura.errors import MenuraError, ProtocolError
from menura.protocol.control import Control
from menura.protocol.control_actions import ACTION_MODELS
from menura.protocol.control_replies import REPLY_MODELS
from menura.protocol.messages import NAMES, VoiceInfo, parse_action

DOCUMENT = Path("docs/control.md").read_text(encoding="utf-8")
VOICES = {name: VoiceInfo(id=name, name=name, category="character", description="") for name in ("a", "b", "c")}
PLAIN = st.none() | st.booleans() | st.integers(-10, 100_000) | st.floats() | st.text(max_size=8)
NAMED = st.sampled_from(
    ["voiceId", "voices", "gain", "effects", "kind", "params", "enabled", "input", "muted", "gain_db", "audio",
     "source", "sample_rate", "format", "output", "devices", "sides", "name", "interval_ms", "parameters"]
)  # fmt: skip
VALUES = st.recursive(
    PLAIN | st.sampled_from(["a", "client", "pcm16", "both", "reverb"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMED | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.builds(
    lambda fields, name: fields | {"action": name}, st.dictionaries(NAMED, VALUES), st.sampled_from(NAMES)
)


@given(MESSAGES)
def test_any_fields_are_an_action_or_refused(message: dict[str, Any]) -> None:
    try:
        action = parse_action(json.dumps(message))
    except ProtocolError as error:
        assert 0 < len(str(error)) < 1000
    else:
        assert action.action == message["action"]
        again = action.model_dump_json(by_alias=True, exclude_unset=True)
        assert parse_action(again) == action


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")) | VALUES.map(json.dumps))
def test_any_text_is_an_action_or_refused(text: str) -> None:
    try:
        parse_action(text)
    except ProtocolError as error:
        assert 0 < len(str(error)) < 1000


class Connections(RuleBasedStateMachine):
    """What a connection may do when, told by two words: a voice is selected, audio is processed."""

    def __init__(self) -> None:
        super().__init__()
        self.control = Control(VOICES)
        self.selected, self.running, self.own = False, False, False

    def tried(self, **message: Any) -> str:
        """The code of the error, or ""."""
        try:
            self.control.receive_text(json.dumps(message))
        except MenuraError as error:
            return error.code
        return ""

    @rule(voice=st.sampled_from(["a", "b", "nobody"]))
    def select(self, voice: str) -> None:
        code = self.tried(action="selectVoice", voiceId=voice)
        assert code == ("" if voice in VOICES else "voice_not_found")
        if not code:
            self.control.selected(voice)
            self.selected = True

    @rule(first=st.sampled_from(["a", "nobody"]), second=st.sampled_from(["a", "c"]))
    def mix(self, first: str, second: str) -> None:
        code = self.tried(action="mixVoices", voices=[{"voiceId": first}, {"voiceId": second}])
        expected = "voice_not_found" if first not in VOICES else "invalid_message" if first == second else ""
        assert code == expected
        if not code:
            self.control.selected(first)
            self.selected = True

    @rule(own=st.booleans())
    def start(self, own: bool) -> None:
        audio = {"audio": {"source": "client"}} if own else {"devices": {}}
        code = self.tried(action="start", **audio)
        assert code == ("already_active" if self.running else "" if self.selected else "no_voice_selected")
        if not code:
            self.control.started(client_audio=own)
            self.running, self.own = True, own

    @rule()
    def stop(self) -> None:
        assert self.tried(action="stop") == ""
        self.control.stopped()
        self.running = self.own = False

    @rule()
    def configure(self) -> None:
        assert self.tried(action="configureAudio", audio={}) == ("already_active" if self.running else "")

    @rule()
    def preview(self) -> None:
        assert self.tried(action="previewVoice", voiceId="b") == ("already_active" if self.own else "")

    @rule(action=st.sampled_from(["getVoices", "getStatus", "stopPreview", "stopRecording", "startRecording"]))
    def ask(self, action: str) -> None:
        assert self.tried(action=action) == ""

    @invariant()
    def audio_is_taken_only_while_the_clients_own_is_processed(self) -> None:
        try:
            self.control.receive_audio(960)
        except MenuraError as error:
            assert error.code == "not_active"
            assert not self.own
        else:
            assert self.own


TestConnections = Connections.TestCase
TestConnections.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def written() -> list[tuple[str, dict[str, Any]]]:
    """Every example of the document that is whole."""
    texts = re.findall(r"`(\{[^`]*\})`", DOCUMENT) + re.findall(r"^[<>] (\{.*\})$", DOCUMENT, re.MULTILINE)
    return [(text, json.loads(text)) for text in texts]


@pytest.mark.parametrize(("text", "message"), written())
def test_an_example_of_the_document_is_what_it_says(text: str, message: dict[str, Any]) -> None:
    if "type" not in message:
        assert parse_action(json.dumps(message)).action == message["action"]
    else:
        model = next(model for model in REPLY_MODELS if model.model_fields["type"].default == message["type"])
        assert model.model_validate_json(text).as_dict() == message


def test_the_document_names_every_message() -> None:
    assert len(written()) >= 12
    assert {name for name in NAMES if name not in DOCUMENT} == set()
    told = {model.model_fields["type"].default for model in REPLY_MODELS}
    assert {name for name in told if f'"{name}"' not in DOCUMENT and f"`{name}`" not in DOCUMENT} == set()
    assert len(ACTION_MODELS) == len(NAMES)
