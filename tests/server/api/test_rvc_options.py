"""What may be set of an RVC voice, as clients see it."""

from fastapi.testclient import TestClient

from menura.server.app import create_app
from menura.voices.builtin import builtin_voices
from menura.voices.rvc_options import OPTIONS, Kind

HOST = {"host": "localhost"}


def test_every_option_but_files_is_told_with_its_range_and_default() -> None:
    with TestClient(create_app(builtin_voices(), relay=False)) as client:
        told = {one["name"]: one for one in client.get("/api/rvc-options", headers=HOST).json()["options"]}
    assert set(told) == {name for name, option in OPTIONS.items() if option.kind is not Kind.FILE}
    for name, one in told.items():
        if one["default"] is not None:
            OPTIONS[name].check(one["default"])
        for limit in ("min", "max"):
            if one[limit] is not None and one["type"] == "number":
                OPTIONS[name].check(one[limit])
        assert bool(one["choices"]) == (one["type"] == "choice")
        assert one["what"]
    assert (told["protect"]["min"], told["protect"]["type"], told["protect"]["live"]) == (0.0, "number", True)
