"""Every benchmark, one after the other: ``python -m benchmarks [--quick] [NAME…]``."""

from __future__ import annotations

import os
import subprocess
import sys

NAMES = (
    "validate",
    "shifter",
    "voices",
    "resample",
    "jitter",
    "enhance",
    "engine",
    "vad",
    "capture",
    "relay",
    "realtime",
    "channels",
    "channels_nats",
    "modelfiles",
    "networks",
    "bench_rvc",
    "rvc_seam",
    "rvc_size",
    "rvc_sessions",
    "server",
)
QUICK = set(NAMES) - {"resample", "rvc_size"}


def main() -> int:
    """Run each in a process of its own, on one thread, so that none warms or slows another; 1 if any failed."""
    asked = [name for name in sys.argv[1:] if not name.startswith("-")] or list(NAMES)
    if unknown := sorted(set(asked) - set(NAMES)):
        print(f"no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    failed = []
    for name in asked:
        quick = ["--quick"] if "--quick" in sys.argv and name in QUICK else []
        print(f"\n== {name} ==\n", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *quick], env={**os.environ, **one_thread}, check=False
        )
        if done.returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
