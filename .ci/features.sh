#!/usr/bin/env bash
# Lints for each set of features. `rust-version` applies to all of them: see supply-chain.sh.
. "$(dirname "$0")/tools.sh"

lint() {
  echo "clippy $*"
  cargo clippy --locked --quiet "$@" -- -D warnings
}

# The library alone: it must not need the command line, and must have no unused code without it.
lint --lib --no-default-features
features=$(cargo metadata --locked --no-deps --format-version 1 \
  | jq -r '.packages[] | select(.name == "countersign") | .features | keys[] | select(. != "default")')
for feature in $features; do
  lint --lib --bins --no-default-features --features "$feature"
done
lint --workspace --all-targets
lint --workspace --all-targets --all-features
