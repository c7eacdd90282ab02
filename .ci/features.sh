#!/usr/bin/env bash
# Lints for each set of features that somebody can ask for. `rust-version` holds for all of them: see supply-chain.sh.
. "$(dirname "$0")/tools.sh"

lint() {
  echo "clippy $*"
  cargo clippy --locked --quiet "$@" -- -D warnings
}

# The library alone: nothing of the command line may be needed, nor anything be left unused without it.
lint --lib --no-default-features
features=$(cargo metadata --locked --no-deps --format-version 1 \
  | jq -r '.packages[] | select(.name == "countersign") | .features | keys[] | select(. != "default")')
for feature in $features; do
  lint --lib --bins --no-default-features --features "$feature"
done
lint --workspace --all-targets
lint --workspace --all-targets --all-features
