"""What runs: sessions, strands, devices, conversion of files."""

import threading

from menura.devices import portaudio

portaudio.turn.lock = threading.RLock()
