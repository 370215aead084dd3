#!/usr/bin/env bash
# test.sh [nextest arguments]: a fresh instance `test`, every test of the workspace, the clients of other languages,
# the examples and the example service, then down.
# TENANTRY_FULL=1 adds the slow ones; TENANTRY_KEEP=1 leaves the instance up for a look. The default port base is 100 above
# the developer's own, so that `make test` works beside `make up`.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
nextest_args=("$@")
base=$((${TENANTRY_PORT_BASE:-8080} + 100))
unset TENANTRY_PORT_BASE
export TENANTRY_FULL=${TENANTRY_FULL:-0} NEXTEST_HIDE_PROGRESS_BAR=1 TENANTRY_QUIET=1
parse_options --instance test --port-base "$base"
INSTANCE_LOGS=$ROOT/target/test-logs

finish() {
  local rc=$?
  trap - EXIT INT TERM
  # The logs of a failed run outlive the instance.
  if [ "$rc" != 0 ] && [ -d "$RUN/test/log" ]; then
    rm -rf "$INSTANCE_LOGS" && mkdir -p "$INSTANCE_LOGS" && cp "$RUN"/test/log/* "$RUN"/test/state/run/*.log "$INSTANCE_LOGS"/ 2>/dev/null || true
    say "service and server logs: $INSTANCE_LOGS"
  fi
  if [ "${TENANTRY_KEEP:-0}" = 1 ]; then say "kept: deploy/dev/down.sh --instance test"; else "$DEV_DIR/down.sh" --instance test; fi
  exit "$rc"
}

need_rust
"$DEV_DIR/install.sh" --for-tests
trap finish EXIT
trap 'exit 130' INT TERM
"$DEV_DIR/down.sh" --instance test >/dev/null
"$DEV_DIR/up.sh" --instance test --port-base "$base" --no-examples --fsync off

export TENANTRY_WORLD=$RUN/test/world.json PATH=$RUN/tools/bin:$RUN/tools/node_modules/.bin:$RUN/tools/venv/bin:$PATH
export TENANTRY_TOOLS=$RUN/tools REDOCLY_TELEMETRY=off
step "cargo nextest run --workspace"
rc=0
(cd "$ROOT" && cargo nextest run --workspace --locked --no-fail-fast "${nextest_args[@]}" </dev/null) || rc=$?
if [ -x "$ROOT/tests/clients/run.sh" ] && [ ${#nextest_args[@]} -eq 0 ]; then
  step "clients of other languages: tests/clients/run.sh"
  "$ROOT/tests/clients/run.sh" </dev/null || rc=$?
fi
# After the tests, because it takes backup away for some seconds.
if [ ${#nextest_args[@]} -eq 0 ]; then
  step "alerts, dashboards and runbooks against Prometheus and Alertmanager: tests/alerts/run.sh"
  "$ROOT/tests/alerts/run.sh" --instance test </dev/null || rc=$?
fi
if [ "$TENANTRY_FULL" = 1 ] && [ ${#nextest_args[@]} -eq 0 ] && is_root; then
  step "images under podman, and the compose file: tests/images/run.sh"
  { "$DEV_DIR/tools.sh" --with-images && "$ROOT/tests/images/run.sh"; } </dev/null || rc=$?
fi
# Last, because it restarts auth and gateway with one more service in their configuration.
if [ ${#nextest_args[@]} -eq 0 ]; then
  step "examples, and a service of one's own: examples/own-service/call.sh"
  {
    "${CARGO_TARGET_DIR:-$ROOT/target}/debug/tenantctl" example load --dir "$ROOT/examples" &&
      "$ROOT/examples/own-service/call.sh" --instance test
  } </dev/null || rc=$?
fi
exit "$rc"
