# shellcheck shell=bash
# The three servers of an instance, one group of functions each: X_init (first time), X_start, X_stop, X_up.
# Sourced by stack.sh. Everything they write is below $STATE; every listener is on 127.0.0.1.

put() { as tee "$1" >/dev/null; }

# --- PostgreSQL
postgres_up() { alive "$STATE/pg/postmaster.pid" "$STATE/pg"; }
postgres_init() {
  [ ! -s "$STATE/pg/initdb.done" ] || return 0
  as rm -rf "$STATE/pg" && as mkdir -p "$STATE/pg" "$STATE/run"
  secret pg_postgres | put "$STATE/run/pw"
  as "$PG_BIN/initdb" -D "$STATE/pg" -U postgres -A scram-sha-256 --pwfile="$STATE/run/pw" -k -E UTF8 --locale=C.UTF-8 --no-sync |
    put "$STATE/run/initdb.log" || die "initdb failed: see $STATE/run/initdb.log"
  as rm -f "$STATE/run/pw"
  echo "include = 'tenantry.conf'" | as tee -a "$STATE/pg/postgresql.conf" >/dev/null
  echo "$PG_BIN" | put "$STATE/pg/initdb.done"
}
postgres_conf() {
  local preload=''
  [ ! -e "$("$PG_BIN/pg_config" --pkglibdir 2>/dev/null || echo "${PG_BIN%/bin}/lib")/pg_stat_statements.so" ] || preload=pg_stat_statements
  put "$STATE/pg/tenantry.conf" <<C
listen_addresses = '127.0.0.1'
port = ${PORT[postgres]}
unix_socket_directories = '$STATE/run'
password_encryption = 'scram-sha-256'
shared_preload_libraries = '$preload'
shared_buffers = 256MB
max_connections = 200
# a schema per tenant: one transaction may touch hundreds of tables
max_locks_per_transaction = 512
max_wal_size = 4GB
wal_level = logical
wal_compression = on
max_replication_slots = 20
max_wal_senders = 20
fsync = $FSYNC
jit = off
random_page_cost = 1.1
timezone = 'UTC'
# a bound parameter may be a signed context: it must not reach a log
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_min_duration_statement = -1
log_line_prefix = '%m [%p] %u@%d '
C
}
postgres_start() {
  postgres_init && postgres_conf
  local try
  for try in 1 2 3 4 5 6; do # after kill -9 the old backends may hold the shared memory for a moment
    as "$PG_BIN/pg_ctl" -D "$STATE/pg" -l "$STATE/run/postgres.log" -w -t 60 start </dev/null >/dev/null 2>&1 && return 0
    sleep "0.$try"
  done
  die "PostgreSQL did not start: $(tail -n 3 "$STATE/run/postgres.log" 2>/dev/null)"
}
postgres_stop() { # INT = fast shutdown with a checkpoint, QUIT = immediate
  if [ "$1" = fast ]; then stop_pid "$STATE/pg/postmaster.pid" "$STATE/pg" QUIT 10; else stop_pid "$STATE/pg/postmaster.pid" "$STATE/pg" INT 60; fi
}
postgres_pids() { file_pid "$STATE/pg/postmaster.pid"; }

# --- Redis: a cache, so nothing is written to disk
redis_up() { alive "$STATE/run/redis.pid" "redis-server"; }
redis_user() { # NAME: may use keys <name>:* and nothing that lists, scans or empties the server
  printf 'user %s on #%s ~%s:* resetchannels &%s:* -@all +@connection +@read +@write +@transaction +@pubsub' "$1" \
    "$(secret "redis_$1" | tr -d '\n' | sha256sum | cut -c1-64)" "$1" "$1"
  printf ' +eval +evalsha +eval_ro +evalsha_ro +script|load +script|exists -@admin -@dangerous -scan -randomkey -dbsize\n'
}
redis_start() {
  as mkdir -p "$STATE/redis" "$STATE/run"
  {
    echo 'user default off'
    printf 'user admin on #%s ~* &* +@all\n' "$(secret redis_admin | tr -d '\n' | sha256sum | cut -c1-64)"
    local u
    for u in gateway registry auth business backup monitoring; do redis_user "$u"; done
  } | put "$STATE/redis/users.acl"
  as redis-server --daemonize yes --port "${PORT[redis]}" --bind 127.0.0.1 --unixsocket "$STATE/run/redis.sock" --dir "$STATE/redis" \
    --aclfile "$STATE/redis/users.acl" --pidfile "$STATE/run/redis.pid" --logfile "$STATE/run/redis.log" \
    --save '' --appendonly no --maxmemory 256mb --maxmemory-policy allkeys-lru </dev/null >/dev/null
}
redis_stop() { stop_pid "$STATE/run/redis.pid" redis-server TERM 10; }
redis_pids() { file_pid "$STATE/run/redis.pid"; }

# --- RabbitMQ: its own epmd, cookie and data; /etc is shut out; /usr/sbin wrappers insist on root or rabbitmq, so not those
rabbitmq_env() {
  local run=$1
  shift
  "$run" env RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_NODENAME="tenantry_$INSTANCE@localhost" RABBITMQ_MNESIA_BASE="$STATE/rmq/mnesia" \
    RABBITMQ_LOG_BASE="$STATE/rmq/log" RABBITMQ_CONFIG_FILE="$STATE/rmq/rabbitmq.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$STATE/rmq/enabled_plugins" \
    RABBITMQ_PID_FILE="$STATE/run/rabbitmq.pid" RABBITMQ_NODE_PORT="${PORT[amqp]}" RABBITMQ_DIST_PORT="${PORT[erlang_dist]}" \
    ERL_EPMD_PORT="${PORT[epmd]}" ERL_EPMD_ADDRESS=127.0.0.1 \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}" "$@"
}
beam_up() { alive "$STATE/run/rabbitmq.pid" beam.smp; }
rabbitmq_up() { beam_up && epmd_up; }
epmd_up() { alive "$INST/pid/epmd.pid" "epmd -port ${PORT[epmd]}"; }
rabbitmq_init() {
  [ ! -s "$STATE/rmq/defs.json" ] || return 0
  as mkdir -p "$STATE/rmq/log" "$STATE/rmq/mnesia" "$STATE/run"
  echo '[rabbitmq_management,rabbitmq_prometheus,rabbitmq_consistent_hash_exchange,rabbitmq_shovel,rabbitmq_shovel_management].' | put "$STATE/rmq/enabled_plugins"
  put "$STATE/rmq/rabbitmq.conf" <<C
listeners.tcp.1 = 127.0.0.1:${PORT[amqp]}
management.tcp.ip = 127.0.0.1
management.tcp.port = ${PORT[rabbit_mgmt]}
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = ${PORT[rabbit_prometheus]}
load_definitions = $STATE/rmq/defs.json
management_agent.disable_metrics_collector = false
vm_memory_high_watermark.absolute = 1GiB
disk_free_limit.absolute = 200MB
log.console = false
log.file.level = warning
C
  python3 "$DEV_DIR/definitions.py" "$INST/secrets" | put "$STATE/rmq/defs.json"
}
rabbitmq_start() {
  rabbitmq_init
  if ! epmd_up; then
    bg_as setsid epmd -port "${PORT[epmd]}" -address 127.0.0.1 </dev/null >/dev/null 2>&1 &
    echo $! >"$INST/pid/epmd.pid"
    await 5 port_open "${PORT[epmd]}" || die "epmd did not open port ${PORT[epmd]}"
  fi
  if ! beam_up; then
    as rm -f "$STATE/run/rabbitmq.pid"
    rabbitmq_env bg_as setsid "$RMQ_BIN/rabbitmq-server" </dev/null >"$INST/log/rabbitmq.out" 2>&1 &
    echo $! >"$INST/pid/rabbitmq.group"
  fi
}
rabbitmq_stop() {
  if [ "$1" = fast ]; then stop_pid "$STATE/run/rabbitmq.pid" beam.smp KILL 5; else stop_pid "$STATE/run/rabbitmq.pid" beam.smp TERM 60; fi
  local group
  group=$(file_pid "$INST/pid/rabbitmq.group") # the start script and port programs of the Erlang VM
  if pid_runs "$group" && tr '\0' ' ' <"/proc/$group/cmdline" | grep -q rabbitmq; then
    await 3 gone "$group" || kill -KILL -- "-$group" 2>/dev/null || true
  fi
  rm -f "$INST/pid/rabbitmq.group"
  stop_pid "$INST/pid/epmd.pid" "epmd -port ${PORT[epmd]}" TERM 5
}
rabbitmq_pids() { file_pid "$STATE/run/rabbitmq.pid"; }
rabbitmq_ready() { port_open "${PORT[amqp]}" && port_open "${PORT[rabbit_mgmt]}" && port_open "${PORT[rabbit_prometheus]}"; }
