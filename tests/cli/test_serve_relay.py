import os
from pathlib import Path

import pytest

from menura.cli.relay import KeyFile, RelayFlags, relay_settings
from menura.errors import ConfigError
from menura.server.relay_options import RelaySettings
from tests.client.ears import KEY
from tests.client.faults import FaultServer
from tests.server.realtime_peer import Agent, run
from tests.serving import running_server

URL = "ws://127.0.0.1:9/v1"


def test_flags_go_before_the_environment() -> None:
    environment = {"MENURA_REALTIME_URL": "wss://other/v1", "MENURA_REALTIME_KEY": KEY, "MENURA_REALTIME_MODEL": "m"}
    assert relay_settings(RelayFlags(), environment) == RelaySettings("wss://other/v1", KEY, "m")
    assert relay_settings(RelayFlags(url=URL, model="n"), environment) == RelaySettings(URL, KEY, "n")
    assert relay_settings(RelayFlags(off=True), environment) is False
    assert relay_settings(RelayFlags(), environment | {"MENURA_RELAY": "off"}) is False
    named = relay_settings(RelayFlags(url=URL), environment | {"MENURA_RELAY": "off"})
    assert named
    assert named.url == URL


def test_key_of_openai_is_not_given_to_another_provider() -> None:
    settings = relay_settings(RelayFlags(url=URL), {"OPENAI_API_KEY": KEY})
    assert settings
    assert settings.api_key is None


def test_key_file_is_read_before_each_connection(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    settings = relay_settings(RelayFlags(key_file=file), {})
    assert settings
    assert callable(settings.api_key)
    assert (settings.url, settings.api_key()) == (None, KEY)
    assert KEY not in repr(settings)
    file.write_text("sk-another")
    assert settings.api_key() == "sk-another"


@pytest.mark.parametrize("text", ["", "\n", "sk-one\nsk-two", "# comment", "sk-ü"])
def test_file_that_is_no_key_is_refused_without_its_content(tmp_path: Path, text: str) -> None:
    file = tmp_path / "key"
    file.write_text(text)
    with pytest.raises(ConfigError, match="must hold the key and nothing else") as refused:
        KeyFile(file)()
    assert "sk-" not in str(refused.value)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (RelayFlags(url="nowhere"), "--relay-url: url must begin"),
        (RelayFlags(url=URL, voice_up="nobody"), "--relay-voice-up: Voice not found: nobody; menura voices"),
        (RelayFlags(url=URL, voice_down="nobody"), "--relay-voice-down"),
        (RelayFlags(url=URL, require_voice=True), "--relay-require-voice needs --relay-voice-up"),
        (RelayFlags(url=URL, require_voice=True, voice_up="none"), "--relay-require-voice needs --relay-voice-up"),
        (RelayFlags(off=True, url=URL), "leave out the other"),
        (RelayFlags(voice_up="robot"), "the relay has no provider"),
        (RelayFlags(key_file=Path("/nowhere/key")), "--relay-key-file: cannot read"),
    ],
)
def test_what_cannot_be_is_said_by_the_options_name(flags: RelayFlags, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        relay_settings(flags, {})


def test_server_of_the_command_line_relays_in_the_operators_voice(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    spoken = b"\x00\x10" * 24_000

    async def job() -> None:
        async with Agent(f"{address}v1") as agent:
            await agent.until("session.created")
            await agent.speak(spoken)
            await agent.connection.input_audio_buffer.commit()
            await agent.until("input_audio_buffer.committed")

    environment = {name: value for name, value in os.environ.items() if "KEY" not in name}
    with (
        FaultServer() as provider,
        running_server(
            *("--relay-url", provider.url, "--relay-key-file", str(file), "--relay-model", "dear"),
            *("--relay-voice-up", "robot", "--relay-require-voice"),
            environment=environment,
        ) as address,
    ):
        run(job)
        [peer] = provider.peers
    assert peer.headers["Authorization"] == f"Bearer {KEY}"
    assert peer.path.endswith("?model=dear")
    assert len(peer.audio) >= len(spoken)
    assert not peer.audio.startswith(spoken[:9600])


def test_server_told_to_have_no_relay_says_so() -> None:
    async def job() -> None:
        async with Agent(f"{address}v1") as agent:
            assert (await agent.error())["code"] == "not_configured"

    with running_server("--no-relay", environment=os.environ | {"OPENAI_API_KEY": KEY}) as address:
        run(job)
