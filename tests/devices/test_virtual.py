import pytest

from menura.devices.virtual import VirtualMicrophone, loaded_modules
from menura.errors import ConfigError


@pytest.mark.parametrize("name", ["menura", "a", "my.voice-2", "x" * 40])
def test_parts_are_named_after_it(name):
    microphone = VirtualMicrophone(name)
    assert (microphone.sink, microphone.source) == (f"{name}_voice", f"{name}_mic")
    (sink, key, arguments), (source, other, more) = microphone.modules
    assert (sink, source) == ("module-null-sink", "module-remap-source")
    assert key in arguments
    assert other in more
    assert f"master={name}_voice.monitor" in more


@pytest.mark.parametrize("name", ["", "two words", "a'b", "a\nb", "-x", "x" * 41, "sink_name=a b", "ö"])
def test_names_that_a_sound_server_would_misread_are_refused(name):
    with pytest.raises(ConfigError, match="a virtual microphone's name is 1 to 40"):
        VirtualMicrophone(name)


def test_the_servers_listing_is_read_whatever_its_columns():
    listing = "1\tmodule-a\tsink_name=x\t\n2\tmodule-b\n536870914\tmodule-null-sink\tsink_name=y rate=1\n\nnonsense\n"
    assert loaded_modules(listing) == [
        ("1", "module-a", "sink_name=x"),
        ("2", "module-b", ""),
        ("536870914", "module-null-sink", "sink_name=y rate=1"),
    ]
