#!/usr/bin/env bash
# The Debian package: its content, installation and removal. It is built from the existing debug build: a release build
# takes as long as all of this, and would change only the program itself.
. "$(dirname "$0")/tools.sh"
debian dpkg-shlibdeps dpkg-dev
debian xz xz-utils
debian systemd-analyze systemd
debian deb-systemd-invoke init-system-helpers
tool cargo-deb 3.8.0 --no-default-features

cargo build --locked --quiet --bin countersign
strip -o target/countersign-stripped target/debug/countersign
rm -rf target/debian target/debian-root
fixtures/debian/build.sh target/countersign-stripped > target/debian.txt 2>&1 || { cat target/debian.txt >&2; exit 1; }
package=$(echo target/debian/countersign_*.deb)

# Path, mode and owner of each file.
dpkg-deb --contents "$package" | awk '$1 !~ /^d/ {sub(/^\./, "", $6); print $6, $1, $2}' | sort > target/debian-files.txt
holds() { grep -qxF -- "$1 $2 root/root" target/debian-files.txt || grep -qxF -- "$1 $2 0/0" target/debian-files.txt \
  || { cat target/debian-files.txt >&2; fail "the package lacks $1 with $2"; }; }
holds /usr/bin/countersign -rwxr-xr-x
for page in target/packaging/man/*.gz; do
  holds "/usr/share/man/man$(sed 's/.*\.\(.\)\.gz$/\1/' <<< "$page")/${page##*/}" -rw-r--r--
done
for file in /etc/countersign/monitor.toml /usr/lib/sysusers.d/countersign.conf \
  /usr/lib/systemd/system/countersign{.service,-once.service,-once.timer} \
  /usr/share/bash-completion/completions/countersign /usr/share/zsh/vendor-completions/_countersign \
  /usr/share/fish/vendor_completions.d/countersign.fish \
  /usr/share/doc/countersign/{copyright,README.md,CHANGELOG.md,LICENSE-MIT,LICENSE-APACHE} \
  /usr/share/doc/countersign/examples/{countersign.cron,grafana-dashboard.json,prometheus-alerts.yml}; do
  holds "$file" -rw-r--r--
done
stray=$(grep -v '^/usr/bin/countersign \|^/usr/share/\|^/usr/lib/systemd/system/\|^/usr/lib/sysusers.d/\|^/etc/countersign/' \
  target/debian-files.txt || true)
[ -z "$stray" ] || fail "the package holds what it should not: $stray"
[ "$(dpkg-deb --info "$package" conffiles)" = /etc/countersign/monitor.toml ] || fail "the config is no conffile"

# Installation into an empty root, with its scripts. The dependencies are on this machine, and not in that root.
root=$PWD/target/debian-root
mkdir -p "$root"/var/lib/dpkg/{info,updates,triggers}
touch "$root"/var/lib/dpkg/{status,available}
install_with() { dpkg --root="$root" --force-script-chrootless --force-depends --log=/dev/null "$@" 2>&1; }
install_with --install "$package" > target/debian.txt || { cat target/debian.txt >&2; exit 1; }
"$root/usr/bin/countersign" --version
grep '^countersign:' "$root/etc/passwd"

# The units start the program of the package, and systemd accepts them.
mkdir -p target/debian-units
for unit in "$root"/usr/lib/systemd/system/countersign*; do
  grep -q '^Exec' "$unit" && { grep -q '^ExecStart=/usr/bin/countersign ' "$unit" || fail "$unit starts another program"; }
  sed "s|/usr/bin/countersign|$root/usr/bin/countersign|" "$unit" > "target/debian-units/${unit##*/}"
done
for unit in target/debian-units/*; do
  # It also reports other units of this machine, and the user, who exists only in the root of this test.
  systemd-analyze verify "$unit" 2> target/debian.txt || { cat target/debian.txt >&2; exit 1; }
  if grep countersign target/debian.txt; then fail "systemd has something to say about $unit"; fi
done

# Mirrors stay when the package is removed.
mkdir -p "$root/var/lib/countersign"
install_with --purge countersign > target/debian.txt || { cat target/debian.txt >&2; exit 1; }
[ ! -e "$root/usr/bin/countersign" ] && [ ! -e "$root/etc/countersign" ] && [ -d "$root/var/lib/countersign" ] \
  || fail "removing the package left something, or took the mirrors"
echo "$(basename "$package"): $(wc -l < target/debian-files.txt) files, installed and removed"
