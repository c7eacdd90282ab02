# shellcheck shell=bash
# The tools that the checks need beside Rust, each at one version. Sourced by .ci/run and by each script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A fresh clone builds everything once, so incremental compilation only costs disk space.
[ -z "${CI:-}" ] || export CARGO_INCREMENTAL=0

need() { command -v "$1" >/dev/null 2>&1; }
fail() { echo "$*" >&2; exit 1; }

# debian COMMAND PACKAGE…: installs Debian packages if the command is missing.
debian() {
  need "$1" && return
  shift
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# The directory of tools from crates.io. CI caches it between runs; ~/.cargo/bin is not changed.
if [ -n "${CI:-}" ]; then tools=${CARGO_HOME:-$HOME/.cargo}; else tools=$PWD/target/tools; fi
export PATH=$tools/bin:$PATH

# tool NAME VERSION [OPTION…]: installs a tool unless it exists, without optimisation, in a third of the time.
tool() {
  local name=$1 version=$2
  shift 2
  cargo install --locked --quiet --debug --root "$tools" --version "=$version" "$@" "$name"
}

# timed TITLE COMMAND…: runs a check and prints its duration.
timed() {
  local title=$1 start=$SECONDS
  shift
  echo "== $title"
  "$@"
  echo "   ($((SECONDS - start)) s: $title)"
}

# The first code block after a marker such as "<!-- ci: test -->", in the README or a page of the guide.
documented_command() {
  awk -v marker="<!-- ci: $1 -->" '$0 == marker {found = 1; next} found && /^```sh/ {inside = 1; next}
    inside && /^```/ {exit} inside {print}' README.md src/docs/*.md
}

debian cc gcc libc6-dev
debian jq jq
if ! need cargo && [ -f "$HOME/.cargo/env" ]; then . "$HOME/.cargo/env"; fi
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
