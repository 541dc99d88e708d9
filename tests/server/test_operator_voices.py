"""Voices that the operator chose for clients of ``/ws/relay``."""

import pytest

from menura.errors import ConfigError, VoiceNotFoundError
from menura.server.app import create_app
from menura.server.relay_options import RelaySettings
from tests.client.faults import FaultServer
from tests.server.relaying import Caller, serving

SPOKEN = b"\x00\x10" * 24_000


def test_client_that_names_none_speaks_in_the_operators() -> None:
    voices = {"voice_up": "robot", "voice_down": "giant"}
    with FaultServer() as provider, serving(provider.url, settings=voices) as relay:
        for named, heard in (({}, "robot"), ({"voiceUp": "helium"}, "helium"), ({"voiceUp": "none"}, None)):
            with Caller(relay.url) as caller:
                started = caller.start(**named)
                assert (started["voiceUp"], started["voiceDown"]) == (heard, "giant")
                caller.socket.send(SPOKEN[:24_000])
                caller.say(type="input_audio_buffer.commit")
                caller.until("input_audio_buffer.committed")
        changed, other, own = (peer.audio for peer in provider.peers)
    assert own == SPOKEN[:24_000]
    assert len({own, changed[:24_000], other[:24_000]}) == 3


def test_required_voice_cannot_be_switched_off() -> None:
    voices = {"voice_up": "robot", "require_voice": True}
    with FaultServer() as provider, serving(provider.url, settings=voices) as relay, Caller(relay.url) as caller:
        for none in ("none", ""):
            caller.say(action="start", voiceUp=none)
            assert "requires a voice" in caller.until("error")["error"]
        assert caller.start(voiceUp="helium")["voiceUp"] == "helium"
        assert provider.handshakes == 1


def test_voice_that_is_not_on_offer_is_noticed_when_the_server_is_made() -> None:
    with pytest.raises(VoiceNotFoundError):
        create_app(relay=RelaySettings("ws://host/v1", voice_down="nobody"))
    with pytest.raises(ConfigError, match="voice_up"):
        RelaySettings("ws://host/v1", require_voice=True)
