#!/usr/bin/env bash
# All tests, once, and that none of them was lost.
. "$(dirname "$0")/tools.sh"

test=$(documented_command test)
echo "$test"
bash -c "$test"
echo "== no test is lost"
tests/names.sh
