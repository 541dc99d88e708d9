#!/usr/bin/env bash
# The tests that use sound devices or a browser, in three parts: sound devices and, beside them, what of the page is not
# heard; then, alone, what is heard of it. A machine that others use too may stand still for a moment just then: where
# no more than five fail, those are run again by themselves, at most twice, and told at the end. What menura does wrong
# fails again. Arguments go to pytest: -k, or files.
set -euo pipefail
cd "$(dirname "$0")/.."
few=5
told=.pytest_cache/real-time
rm -rf $told
mkdir -p $told
if [[ ${1:-} != tests* ]]; then
    mapfile -t files < <(grep -rlE 'mark\.(devices|browser)' tests --include='test_*.py' | sort)
    set -- "${files[@]}" "$@"
fi

# Run the tests with these markers; no test at all is no fault, where a part of them was asked for.
part() { # NAME MARKERS ARGUMENTS…
    local name=$1 markers=$2 status=0
    shift 2
    .venv/bin/python -m pytest -m "$markers" -o cache_dir=$told/"$name" "$@" || status=$?
    [ $status -ne 5 ] || status=0
    return $status
}

# Whether that is a failed test, and not an interrupt or worse: Python itself, and what pytest finds after the last test,
# end with 1 too, and name no test that could be run again.
count() { # NAME STATUS
    [ "$2" -le 1 ] || exit "$2"
    [ "$2" -eq 0 ] || [ -s $told/"$1"/v/cache/lastfailed ] || exit 1
    [ "$2" -eq 0 ] || status=1
}

failed() {
    .venv/bin/python - $told/*/v/cache/lastfailed <<'END'
import json, sys
print(*(name for path in sys.argv[1:] for name in json.load(open(path))), sep="\n")
END
}

status=0
.venv/bin/python -m pytest -m "browser and not heard" -o cache_dir=$told/seen "$@" >$told/seen.txt 2>&1 &
seen=$! # pytest itself, and no shell around it that would die alone
trap 'kill $seen' EXIT
one=0
part devices "devices and not browser" "$@" || one=$?
two=0
wait $seen || two=$?
[ $two -ne 5 ] || two=0
trap - EXIT
cat $told/seen.txt
three=0
part heard "browser and heard" "$@" || three=$?
count devices $one
count seen $two
count heard $three

again=()
shopt -s nullglob
while [ $status -eq 1 ] && [ ${#again[@]} -lt 2 ]; do
    mapfile -t names < <(failed)
    [ ${#names[@]} -le $few ] || break
    again+=("$(printf '%s\n' "${names[@]}")")
    printf '\nrun again, time %d of 2, as they failed:\n%s\n' ${#again[@]} "${again[-1]}"
    rm -rf $told
    status=0
    one=0
    part again "devices or browser" "${names[@]}" || one=$?
    count again $one
done
for time in "${!again[@]}"; do
    printf '\nfailed the %s time:\n%s\n' "$([ "$time" -eq 0 ] && echo first || echo second)" "${again[$time]}"
done
[ ${#again[@]} -eq 0 ] || printf '\nin the end %s\n' "$([ $status -eq 0 ] && echo "all passed" || echo "not all passed")"
exit $status
