#!/usr/bin/env bash
# bench.sh [tenantry-load arguments]: a release build on an instance of its own with fsync on, measured, then removed.
# Prints one table and writes the same as JSON; a missed target is printed with its ratio, never hidden.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
load_args=("$@")
base=$((${TENANTRY_PORT_BASE:-8080} + 200))
unset TENANTRY_PORT_BASE
export TENANTRY_QUIET=1
parse_options --instance bench --port-base "$base"

run_load() {
  step "tenantry-load ${load_args[*]}"
  "${CARGO_TARGET_DIR:-$ROOT/target}/release/tenantry-load" --world "$RUN/bench/world.json" --json "$ROOT/target/bench.json" "${load_args[@]}"
}
finish() {
  local rc=$?
  trap - EXIT INT TERM
  [ "${TENANTRY_KEEP:-0}" = 1 ] || "$DEV_DIR/down.sh" --instance bench
  exit "$rc"
}

need_rust
"$DEV_DIR/install.sh"
step "cargo build --release --bin tenantry-load"
(cd "$ROOT" && umask 022 && cargo build --locked --release --bin tenantry-load)
trap finish EXIT
trap 'exit 130' INT TERM
"$DEV_DIR/down.sh" --instance bench >/dev/null
"$DEV_DIR/up.sh" --instance bench --port-base "$base" --profile release --fsync on --no-examples
run_load
