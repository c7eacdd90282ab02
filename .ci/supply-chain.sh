#!/usr/bin/env bash
# The dependencies: licences, versions, sources, advisories, and the oldest Rust that they need.
. "$(dirname "$0")/tools.sh"
tool cargo-deny 0.20.2

cargo deny --locked --offline --config .ci/deny.toml check licenses bans sources
# cargo-deny would silently accept a malformed minimum version.
sed -E 's/:<[0-9][^"]*"/:<999.0.0"/' .ci/deny.toml > target/deny-raised.toml
raised=$(cargo deny --locked --offline --config target/deny-raised.toml check bans 2>&1 || true)
grep -q 'tokio = [0-9.]*. is explicitly banned' <<< "$raised" || fail "the floors of .ci/deny.toml forbid nothing"
# Not every CI machine can reach the database of advisories. .ci/deny.toml has minimum versions for that case.
if timeout 60 cargo deny fetch db >/dev/null 2>&1; then
  cargo deny --locked --offline --config .ci/deny.toml check --disable-fetch advisories
else
  echo "advisories: NOT CHECKED, their database cannot be fetched here"
fi

# The declared rust-version is the newest one that a package of the lock file requires. With a lower one the build would fail; a
# higher one would exclude users without need. Clippy's `incompatible_msrv`, in Cargo.toml, checks our own code.
metadata=$(cargo metadata --locked --format-version 1)
declared=$(jq -r '.packages[] | select(.name == "countersign") | .rust_version' <<< "$metadata")
needed=$(jq -r '[.packages[] | select(.source != null and .rust_version != null)
  | {name, wants: (.rust_version | split(".") | map(tonumber) | .[0:2])}]
  | max_by(.wants) | "\(.wants | join(".")) \(.name)"' <<< "$metadata")
[ "$declared" = "${needed% *}" ] || fail "rust-version is $declared in Cargo.toml, and ${needed#* } needs ${needed% *}"
grep -q "^You need Rust ${declared//./\\.} or newer" README.md || fail "the README does not ask for Rust $declared"
echo "rust-version $declared, as ${needed#* } needs it"
