#!/usr/bin/env bash
# stack.sh up|down|status|wipe [--instance NAME] [--port-base N] [--fsync on|off]: private PostgreSQL, Redis and RabbitMQ.
# stack.sh start|stop|kill postgres|redis|rabbitmq [--instance NAME]: one of them (kill = SIGKILL, for fault tests).
# stack.sh psql|rabbitmqctl [--instance NAME] ARGS..: as the administrator (psql: the database first).
# An instance that is up already is left alone. Services are not its business: see services.sh.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$DEV_DIR/servers.sh"
SERVERS=(postgres redis rabbitmq)

# Every port of a server that is not ours already must be free before the first one is started.
stack_ports() {
  postgres_up || echo "postgres ${PORT[postgres]}"
  redis_up || echo "redis ${PORT[redis]}"
  epmd_up || echo "epmd ${PORT[epmd]}"
  beam_up || printf '%s\n' "rabbitmq ${PORT[amqp]}" "erlang-distribution ${PORT[erlang_dist]}" \
    "rabbitmq-management ${PORT[rabbit_mgmt]}" "rabbitmq-prometheus ${PORT[rabbit_prometheus]}"
}

psql_super() { # DATABASE args..: over TCP as the superuser; the password goes by the environment, never by argv
  PGPASSWORD=$(secret pg_postgres) "$PG_BIN/psql" -X -q -h 127.0.0.1 -p "${PORT[postgres]}" -U postgres -d "$@"
}

bootstrap_sql() {
  local r
  {
    for r in ddl registry registry_sys auth auth_sys business business_sys backup backup_sys monitoring monitoring_sys; do
      printf "\\\\set pw_tenantry_%s '%s'\n" "$r" "$(secret "pg_tenantry_$r")"
    done
    printf '\\ir %s\n' "$DEV_DIR/bootstrap.sql"
  } | psql_super postgres -v ON_ERROR_STOP=1 -f - || die "bootstrap.sql failed"
}

world() { OPERATOR_EMAIL=$OPERATOR_EMAIL "$DEV_DIR/world.py" "$ROOT" "$INST" "$PORT_BASE" "$PROFILE"; }

all_up() { postgres_up && redis_up && rabbitmq_up; }

up() {
  pg_find || die "no PostgreSQL that is new enough (found:${PG_SEEN:- none}): run deploy/dev/install.sh"
  [ -x "$RMQ_BIN/rabbitmq-server" ] || die "RabbitMQ is not installed: run deploy/dev/install.sh"
  if [ -s "$INST/stack.done" ] && all_up; then return 0; fi
  stack_ports | "$DEV_DIR/ports.py" || exit 1
  create_instance
  all_secrets
  step "PostgreSQL ${PORT[postgres]}, Redis ${PORT[redis]}, RabbitMQ ${PORT[amqp]} (instance $INSTANCE, data in $STATE)"
  as mkdir -p "$STATE/run"
  rabbitmq_up || rabbitmq_start # slowest first: it boots while the others are set up
  redis_up || redis_start
  postgres_up || postgres_start
  bootstrap_sql
  await 10 port_open "${PORT[redis]}" || die "Redis did not open port ${PORT[redis]}: $(as tail -n 3 "$STATE/run/redis.log")"
  await 90 rabbitmq_ready || die "RabbitMQ did not come up: $(tail -n 5 "$INST/log/rabbitmq.out")"
  world
  date -u +%FT%TZ >"$INST/stack.done"
}

# down [fast]: fast does not care about the data, because it is about to be removed
down() {
  [ -d "$STATE" ] || return 0
  rabbitmq_stop "${1:-slow}" &
  redis_stop "${1:-slow}"
  postgres_stop "${1:-slow}"
  wait
}

wipe() {
  down fast
  "$DEV_DIR/sweep.py" "$STATE" "$INST"
  rm -rf "$STATE"
  rm -f "$INST/state" "$INST/stack.done" "$INST/world.json"
}

one() { # start|stop|kill SERVER
  local s=${2:-} p
  [[ " ${SERVERS[*]} " == *" $s "* ]] || die "which server? one of: ${SERVERS[*]}"
  pg_find || die "PostgreSQL is not installed"
  case $1 in
    start)
      "${s}_up" || "${s}_start"
      if [ "$s" = rabbitmq ]; then await 90 rabbitmq_ready || die "RabbitMQ did not come up"; fi
      ;;
    stop) "${s}_stop" slow ;;
    kill)
      p=$("${s}_pids")
      if pid_runs "$p"; then kill -KILL "$p" && await 10 gone "$p"; fi
      ;;
  esac
}

status() {
  local s rc=0
  for s in "${SERVERS[@]}"; do
    if "${s}_up"; then printf '%-10s up    pid %s\n' "$s" "$("${s}_pids")"; else printf '%-10s down\n' "$s" && rc=3; fi
  done
  return $rc
}

all=("$@") cmd=${1:-}
[ $# -gt 0 ] && shift
case $cmd in
  psql | rabbitmqctl)
    INSTANCE=${TENANTRY_INSTANCE:-dev}
    if [ "${1:-}" = --instance ]; then INSTANCE=$2 && shift 2; fi
    rest=("$@") && parse_options --instance "$INSTANCE" && load_instance
    pg_find || die "PostgreSQL is not installed"
    if [ "$cmd" = psql ]; then psql_super "${rest[@]}"; else rabbitmq_env as "$RMQ_BIN/rabbitmqctl" -n "tenantry_$INSTANCE@localhost" "${rest[@]}"; fi
    exit
    ;;
  *) parse_options "$@" && load_instance ;;
esac
case $cmd in
  up | down | wipe) with_lock "${all[@]}" && "$cmd" ;;
  start | stop | kill) with_lock "${all[@]}" && one "$cmd" "${ARGS[0]:-}" ;;
  status) status ;;
  ports) stack_ports ;;
  world) world ;;
  *) die "usage: stack.sh up|down|status|wipe | start|stop|kill SERVER | psql DB | rabbitmqctl ..  [--instance NAME] [--port-base N]" ;;
esac
