#!/usr/bin/env bash
# unpack.sh: lays the advisory snapshot out as cargo-deny expects a fetched database: a git repository with one commit, in a
# directory whose name is fixed by cargo-deny (advisory-db-<hash of the database's URL>). Below target/, made once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
db=$here/../../target/advisory-db/advisory-db-3157b0e258782691
snapshot=$(echo "$here"/advisory-db-*.tar.gz)
[ ! -f "$db/.unpacked" ] || [ "$(cat "$db/.unpacked")" != "$(basename "$snapshot")" ] || exit 0
rm -rf "$db" && mkdir -p "$db"
tar xzf "$snapshot" -C "$db"
git -C "$db" init -q -b main
git -C "$db" add -A
git -C "$db" -c user.name=snapshot -c user.email=snapshot@example.invalid -c commit.gpgsign=false commit -q -m "$(basename "$snapshot")"
# cargo-deny asks when the database was fetched
touch "$db/.git/FETCH_HEAD"
basename "$snapshot" >"$db/.unpacked"
