#!/usr/bin/env bash
# Every benchmark, beside its peers: an environment of its own, since peers are heavy and some are GPL.
#   scripts/bench.sh [--quick] [NAME…], names as in benchmarks/__main__.py
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv-bench/bin
if [ ! -e .venv-bench/.ready ] || [ benchmarks/requirements.txt -nt .venv-bench/.ready ]; then
    test -x $bin/python || "${PYTHON:-python3}" -m venv .venv-bench
    $bin/python -m pip install --quiet "setuptools==80.10.2" wheel
    $bin/python -m pip install --quiet "torch==2.13.0"
    $bin/python -m pip install --quiet --no-build-isolation -r benchmarks/requirements.txt
    echo "$PWD/src" > "$($bin/python -c 'import site; print(site.getsitepackages()[0])')/menura.pth"
    touch .venv-bench/.ready
fi
if [ ! -d /usr/share/asterisk/sounds ]; then
    root=(); [ "$(id -u)" -eq 0 ] || root=(sudo)
    "${root[@]}" apt-get update -qq
    "${root[@]}" apt-get install -y -qq --no-install-recommends asterisk-core-sounds-en-g722 >/dev/null
fi
exec $bin/python -m benchmarks "$@"
