#!/usr/bin/env bash
# The tests that use a sound device or a browser as it plays, alone. A machine that others use too may stand still for a
# moment just then: where no more than five fail, those are run again, in new processes, at most twice, and told at the
# end. What menura does wrong fails again. Arguments go to pytest: files, or -k.
set -euo pipefail
cd "$(dirname "$0")/.."
few=5
cache=.pytest_cache/real-time
run() { .venv/bin/python -m pytest -m "devices or browser" -o cache_dir=$cache "$@"; }
failed() {
    .venv/bin/python -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n")' $cache/v/cache/lastfailed
}

[ $# -gt 0 ] || set -- tests
rm -rf $cache
status=0
run "$@" || status=$?
again=()
while [ $status -eq 1 ] && [ ${#again[@]} -lt 2 ]; do
    names=$(failed)
    [ "$(wc -l <<<"$names")" -le $few ] || break
    again+=("$names")
    printf '\nrun again, time %d of 2, as they failed:\n%s\n' ${#again[@]} "$names"
    status=0
    run --last-failed --last-failed-no-failures none "$@" || status=$?
done
for time in "${!again[@]}"; do
    printf '\nfailed the %s time:\n%s\n' "$([ "$time" -eq 0 ] && echo first || echo second)" "${again[$time]}"
done
[ ${#again[@]} -eq 0 ] || printf '\nin the end %s\n' "$([ $status -eq 0 ] && echo "all passed" || echo "not all passed")"
exit $status
