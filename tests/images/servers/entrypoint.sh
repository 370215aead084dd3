#!/bin/bash
# What the official images' entry points do, as far as compose.yaml relies on it.
set -euo pipefail
drop() { # USER COMMAND..
  local user=$1
  shift
  exec setpriv --reuid="$user" --regid="$user" --init-groups --inh-caps=-all env HOME=/tmp "$@"
}
postgres_init() {
  install -d -o postgres -g postgres -m 700 "$PGDATA"
  [ ! -s "$PGDATA/PG_VERSION" ] || return 0
  local args=()
  read -ra args <<<"${POSTGRES_INITDB_ARGS:-}"
  (drop postgres initdb -D "$PGDATA" -U postgres --pwfile="$POSTGRES_PASSWORD_FILE" "${args[@]}")
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  (drop postgres pg_ctl -D "$PGDATA" -w -o "-c listen_addresses=''" start)
  local script
  for script in /docker-entrypoint-initdb.d/*.sh; do (PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") drop postgres "$script"); done
  (drop postgres pg_ctl -D "$PGDATA" -w stop)
}
case $1 in
  postgres)
    export PGDATA=/var/lib/postgresql/data
    install -d -o postgres -g postgres -m 2775 /var/run/postgresql
    postgres_init
    shift
    drop postgres postgres -c "listen_addresses=*" "$@"
    ;;
  redis-server) drop redis "$@" --protected-mode no --bind 0.0.0.0 ;;
  rabbitmq-server | *)
    chown -R rabbitmq:rabbitmq /var/lib/rabbitmq /var/log/rabbitmq
    exec rabbitmq-server
    ;;
esac
