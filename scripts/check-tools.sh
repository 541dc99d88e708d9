#!/bin/sh
# Say at once what this machine lacks to build menura, before minutes are spent. Argument: the Python to use.
python=${1:-python3}
missing=0
lack() { echo "menura needs $1" >&2; missing=1; }

[ -x .venv/bin/python ] || "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    lack "Python 3.11 or newer with venv ($python is $("$python" --version 2>/dev/null || echo missing)): apt install python3-venv, brew install python; PYTHON=… names another"
for compiler in "${CC:-cc}" gcc clang none; do
    command -v "$compiler" >/dev/null && break
done
[ "$compiler" != none ] || lack "a C compiler: apt install gcc, dnf install gcc, xcode-select --install"
node -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major == 20 && minor > 18) ? 0 : 1)' 2>/dev/null && command -v npm >/dev/null ||
    lack "Node.js 20.19 or newer with npm for its page ($(node --version 2>/dev/null || echo missing)): https://nodejs.org, brew install node"
exit $missing
