#!/bin/sh
# gate.sh RECEIPT COMMAND… < ARGUMENTS
# Runs COMMAND, with these bytes on its stdin, where a person approved exactly them; once for each approval.
# Where passkeys sign the action's text as well: GATE_ACTION=TEXT gate.sh …
# Exit code 125: refused, also for a crash and for 30 seconds without an answer. Any other is COMMAND's.
set -eu
trap 'exit 125' EXIT
trust=/etc/countersign/trust.toml
used=/var/lib/countersign/used # gets a directory for each approval that was acted on
: "${2:?usage: gate.sh RECEIPT COMMAND… < ARGUMENTS}"
receipt=$1; shift
[ -f "$receipt" ] || { echo "gate.sh: the receipt is no file" >&2; exit; }

# The arguments are read once, into a file without a name: what is checked is what runs, to the last byte.
file=$(mktemp); exec 3>"$file" 4<"$file" 5<"$file"; rm "$file"
cat >&3
report=$(timeout -s KILL 30 countersign verify --format=json --quiet --decision=approved --config="$trust" \
  --payload=- ${GATE_ACTION+"--action=$GATE_ACTION"} -- "$receipt" <&4) || { printf '%s\n' "$report" >&2; exit; }
nonce=$(printf '%s\n' "$report" | LC_ALL=C sed -n '1{
  $s/^{"tool":"countersign",.*,"verdict":"clean","exitCode":0,.*,"nonce":"\([0-9A-Za-z_-]\{22,86\}\)",.*/\1/p
}') # of the only line; the passkey signed it, while an id is the log's word
mkdir "$used/nonce-${nonce:?no report on one approval}" # fails where it was used before
exec "$@" <&5 3>&- 4<&- 5<&-
