#!/usr/bin/env bash
# The tests that use a sound device or a browser as it plays, alone. A machine that others use too may stand still for a
# moment just then: where no more than five fail, those are run again in a new process, at most twice, and told at the
# end. What menura does wrong fails again. Arguments go to pytest: -k, or files.
set -euo pipefail
cd "$(dirname "$0")/.."
few=5
cache=.pytest_cache/real-time
if [[ ${1:-} != tests* ]]; then
    mapfile -t files < <(grep -rlE 'mark\.(devices|browser)' tests --include='test_*.py' | sort)
    set -- "${files[@]}" "$@"
fi

run() {
    rm -rf $cache
    status=0
    .venv/bin/python -m pytest -m "devices or browser" -o cache_dir=$cache "$@" || status=$?
}

# Nothing where a run failed without a failed test: Python itself, and what pytest finds after the last one, end with 1 too.
failed() {
    [ ! -s $cache/v/cache/lastfailed ] ||
        .venv/bin/python -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n")' $cache/v/cache/lastfailed
}

run "$@"
told=()
while [ $status -eq 1 ] && [ ${#told[@]} -lt 2 ]; do
    mapfile -t names < <(failed)
    [ ${#names[@]} -gt 0 ] && [ ${#names[@]} -le $few ] || break
    told+=("$(printf '%s\n' "${names[@]}")")
    printf '\nrun again, time %d of 2, as they failed:\n%s\n' ${#told[@]} "${told[-1]}"
    run "${names[@]}"
done
for time in "${!told[@]}"; do
    printf '\nfailed the %s time:\n%s\n' "$([ "$time" -eq 0 ] && echo first || echo second)" "${told[$time]}"
done
[ ${#told[@]} -eq 0 ] || printf '\nin the end %s\n' "$([ $status -eq 0 ] && echo "all passed" || echo "not all passed")"
exit $status
