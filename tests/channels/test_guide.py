import re
from pathlib import Path

GUIDE = Path("docs/channels.md").read_text()


def test_guide_runs_as_printed() -> None:
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", GUIDE.split("\n## Across machines")[0], re.DOTALL):
        exec(block, names)
    levels, stats = names["levels"], names["stats"]
    assert len(levels) == 51, "the converter's delay is one stream more"  # type: ignore[arg-type]
    assert all(abs(level - 0.5 / 2**0.5) < 0.02 for level in levels[1:-1])  # type: ignore[index]
    assert (stats.delivered, stats.dropped, stats.gaps) == (51, 0, 0)  # type: ignore[attr-defined]


def test_guide_names_every_policy_and_option() -> None:
    from menura import ChannelOptions, Policy

    for word in [*Policy, *ChannelOptions.__dataclass_fields__]:
        assert f"`{word}" in GUIDE, word
