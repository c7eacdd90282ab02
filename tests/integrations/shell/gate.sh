#!/bin/sh
# gate.sh RECEIPT COMMAND… < ARGUMENTS.json
# Runs COMMAND, with these arguments on its stdin, only where a person approved exactly them. They are read
# once, so that what was checked is what runs. Any exit code but 0, a crash, or 30 seconds without an answer:
# COMMAND does not run.
set -eu
receipt=$1; shift
arguments=$(cat)
printf %s "$arguments" | timeout -s KILL 30 countersign verify --quiet \
  --config /etc/countersign/trust.toml --payload - -- "$receipt" >&2 &&
  printf %s "$arguments" | "$@"
