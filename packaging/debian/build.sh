#!/usr/bin/env bash
# Makes the Debian package: target/debian/countersign_*.deb. Without an argument it builds the release; with one it
# packages that program. Needs cargo-deb, gzip and xz.
set -euo pipefail
cd "$(dirname "$0")/../.."
# cargo-deb packages what is in `release` of the target directory.
made=$PWD/target/packaging
rm -rf "$made"
mkdir -p "$made"/{release,man,completions,units} target/debian

program=${1:-}
if [ -z "$program" ]; then
  cargo build --release --locked --bin countersign
  program=target/release/countersign
fi
install -m 755 "$program" "$made/release/countersign"

"$program" man "$made/man" >/dev/null
gzip -9n "$made"/man/*
"$program" completions bash > "$made/completions/countersign"
"$program" completions zsh > "$made/completions/_countersign"
"$program" completions fish > "$made/completions/countersign.fish"

# The units and the cron line of fixtures/ops, with the place of the package's program and a user who is there between two
# runs, so that `sudo -u countersign countersign …` reads and writes the same mirrors.
for unit in countersign.service countersign-once.service countersign-once.timer; do
  sed -e 's|/etc/systemd/system/|/usr/lib/systemd/system/|; s|/usr/local/bin/countersign|/usr/bin/countersign|' \
    -e 's|^DynamicUser=yes$|User=countersign\nGroup=countersign|' "fixtures/ops/$unit" > "$made/units/$unit"
done
sed 's|/usr/local/bin/countersign|/usr/bin/countersign|' fixtures/ops/countersign.cron > "$made/units/countersign.cron"
if grep -n '/usr/local/bin/countersign\|DynamicUser' "$made"/units/*; then
  echo "a unit still has the path or the user of an installation by hand" >&2
  exit 1
fi

CARGO_TARGET_DIR=$made cargo deb --no-build --locked --output target/debian/
