# shellcheck shell=bash
# Sourced by the shell clients: a tenant of their own, and counting of checks.
set -euo pipefail
CLIENTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
eval "$("$TENANTRY_TOOLS/venv/bin/python" "$CLIENTS/python/helper.py")"
: "${SLUG:?}" "${HOST:?}" "${EMAIL:?}" "${PASSWORD:?}" "${TOKEN:?}" "${PORT:?}"
passed=0 failed=0
# check NAME PATTERN OUTPUT: the output must match the extended regular expression
check() {
  if grep -Eq -- "$2" <<<"$3"; then
    passed=$((passed + 1)) && echo "ok   $1"
  else
    failed=$((failed + 1)) && printf 'FAIL %s: no /%s/ in:\n%s\n' "$1" "$2" "$3"
  fi
}
verdict() {
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}
