#!/usr/bin/env bash
# Runs all tests once, and checks that none was removed.
. "$(dirname "$0")/tools.sh"

test=$(documented_command test)
echo "$test"
bash -c "$test"
echo "== no test is lost"
tests/names.sh
