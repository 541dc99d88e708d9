"""``menura virtual-mic``: a microphone with the changed voice for every program."""

from menura.live.virtual_mic import create_virtual_microphone, remove_virtual_microphone

__all__ = ["create", "remove"]


def create(name: str) -> None:
    """Make it, and say how it is used.

    Raises:
        DeviceError: It cannot be made.
    """
    microphone, made = create_virtual_microphone(name)
    print(f"{'Made' if made else 'There is already'} the virtual microphone {microphone.name!r}.")
    print(f"1. In Discord, the browser or the game choose the microphone:  {microphone.title.replace(' ', '_')}")
    print(f"2. Speak with another voice:  menura live --voice natural-woman --output {microphone.sink}")
    print(f"It stays until the sound server restarts, or: menura virtual-mic remove --name {microphone.name}")


def remove(name: str) -> None:
    """Remove it.

    Raises:
        DeviceError: The sound server cannot be asked.
    """
    there = remove_virtual_microphone(name)
    print(f"Removed the virtual microphone {name!r}." if there else f"There is no virtual microphone {name!r}.")
