#!/usr/bin/env bash
# services.sh build|start|stop|restart|status [--instance NAME] [SERVICE]: build, configure, migrate, start and supervise ours.
# The servers must be up (stack.sh). Services run as the invoking user and listen on 127.0.0.1.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$DEV_DIR/config.sh"

bin_dir() { echo "${CARGO_TARGET_DIR:-$ROOT/target}/$PROFILE"; }

build() {
  local args=(build --locked --bin tenantry-registry --bin tenantry-auth --bin tenantry-business --bin tenantry-backup --bin tenantry-monitoring --bin tenantry-gateway --bin tenantctl)
  [ "$PROFILE" = debug ] || args+=(--release)
  step "cargo ${args[*]}   (the first time takes some minutes)"
  (cd "$ROOT" && umask 022 && cargo "${args[@]}") || die "the build failed"
}

# Migrations also bootstrap: roles' grants, keys, the operator. Each is idempotent.
migrate() {
  local s
  for s in registry auth business backup monitoring; do
    step "migrate $s"
    "$(bin_dir)/tenantry-$s" migrate --config "$INST/config/$s.toml" >>"$INST/log/migrate.log" 2>&1 ||
      die "migration of $s failed: $(tail -n 5 "$INST/log/migrate.log")"
  done
}

supervised() { alive "$INST/pid/$1.supervisor.pid" "supervise.sh $1 $INST"; }
start_one() {
  local bin
  bin=$(bin_dir)/tenantry-$1
  supervised "$1" && return 0
  [ -x "$bin" ] || die "$bin is not there: run deploy/dev/services.sh build"
  stop_pid "$INST/pid/$1.pid" "$INST/config/$1.toml" TERM 12 # a child whose supervisor was killed
  # As in the container: large blocks go back to the system at once.
  MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072 setsid "$DEV_DIR/supervise.sh" "$1" "$INST" "$bin" run --config "$INST/config/$1.toml" </dev/null >/dev/null 2>&1 &
  echo $! >"$INST/pid/$1.supervisor.pid"
}

ready() { [ "$(curl -s -o /dev/null -m 2 -w '%{http_code}' "http://127.0.0.1:${PORT[${1}_admin]}/readyz" 2>/dev/null)" = 200 ]; }
wait_ready() {
  local s pending=("$@") left i tries=${TENANTRY_READY_TRIES:-400}
  for ((i = 0; i < tries; i++)); do
    left=()
    for s in "${pending[@]}"; do
      if ready "$s"; then say "      $s is ready"; else left+=("$s"); fi
    done
    pending=("${left[@]}")
    [ ${#pending[@]} -gt 0 ] || return 0
    [ $((i % 25)) -ne 24 ] || say "      still waiting for: ${pending[*]}"
    sleep 0.2
  done
  for s in "${pending[@]}"; do
    warn "$s is not ready; http://127.0.0.1:${PORT[${s}_admin]}/readyz says: $(curl -s -m 2 "http://127.0.0.1:${PORT[${s}_admin]}/readyz" || echo nothing)"
    warn "last lines of $INST/log/$s.log:" && tail -n 8 "$INST/log/$s.log" >&2 || true
  done
  die "not ready after $((tries / 5)) s: ${pending[*]}"
}

service_ports() {
  local s
  for s in "${SERVICES[@]}"; do
    supervised "$s" || printf '%s %s\n%s-admin %s\n' "$s" "${PORT[$s]}" "$s" "${PORT[${s}_admin]}"
  done
}

start() {
  step "start $*"
  local s
  for s in "$@"; do start_one "$s"; done
  wait_ready "$@"
}

stop_one() {
  stop_pid "$INST/pid/$1.supervisor.pid" "supervise.sh $1 $INST" TERM 15
  # a child whose supervisor was killed
  stop_pid "$INST/pid/$1.pid" "$INST/config/$1.toml" TERM 12
  rm -f "$INST/pid/$1.hold"
}
stop() { # all at once: the gateway drains while the others still answer it
  local s
  [ -d "$INST/pid" ] || return 0
  for s in "$@"; do stop_one "$s" & done
  wait
}

status() {
  local s rc=0
  for s in "${SERVICES[@]}"; do
    if ! supervised "$s"; then
      printf '%-10s down\n' "$s" && rc=3
    elif ready "$s"; then
      printf '%-10s ready pid %s\n' "$s" "$(file_pid "$INST/pid/$s.pid")"
    else printf '%-10s not ready (log: %s)\n' "$s" "$INST/log/$s.log" && rc=4; fi
  done
  return $rc
}

all=("$@") cmd=${1:-}
[ $# -gt 0 ] && shift
parse_options "$@" && load_instance
which=("${ARGS[@]}")
[ ${#which[@]} -gt 0 ] || which=("${SERVICES[@]}")
for s in "${which[@]}"; do [[ " ${SERVICES[*]} " == *" $s "* ]] || die "no service '$s': one of ${SERVICES[*]}"; done
case $cmd in
  build) build ;;
  ports) service_ports ;;
  configure) write_configs ;;
  migrate) migrate ;;
  start | stop) with_lock "${all[@]}" && "$cmd" "${which[@]}" ;;
  restart) with_lock "${all[@]}" && stop "${which[@]}" && start "${which[@]}" ;;
  status) status ;;
  *) die "usage: services.sh build|configure|migrate|start|stop|restart|status|ports [--instance NAME] [SERVICE..]" ;;
esac
