#!/usr/bin/env bash
# setup.sh [PORT]: random secrets and the configuration of every service for compose.yaml, in state/ beside it. Again, it
# keeps the secrets and writes the rest anew. PORT (8080) is the gateway's on this machine.
source "$(dirname "${BASH_SOURCE[0]}")/../dev/lib.sh"
# shellcheck source=/dev/null
source "$DEV_DIR/config.sh"
# shellcheck source=/dev/null
source "$DEV_DIR/servers.sh"
HERE=$ROOT/deploy/compose
OUT=${TENANTRY_COMPOSE_STATE:-$HERE/state}
PORT_BASE=${1:-${TENANTRY_PORT:-8080}} PROFILE=release
[[ $PORT_BASE =~ ^[0-9]{4,5}$ ]] || die "usage: setup.sh [PORT]"
set_ports
# The functions of a developer's instance, with a container in the place of each port.
INST=$OUT/instance
pg_url() { printf 'postgres://%s:%s@postgres:5432/%s' "$1" "$(secret "pg_$1")" "$2"; }
redis_url() { printf 'redis://%s:%s@redis:6379/0' "$1" "$(secret "redis_$1")"; }
amqp_url() { printf 'amqp://%s:%s@rabbitmq:5672/tenantry' "$1" "$(secret "amqp_$1")"; }
section_listen() {
  if [ "$1" = gateway ]; then printf '[listen]\npublic = "0.0.0.0:8080"\nadmin = "0.0.0.0:9090"\n\n'; else
    printf '[listen]\ngrpc = "0.0.0.0:8081"\nadmin = "0.0.0.0:9090"\n\n'
  fi
}
containers() { # what is left of addresses and paths of this machine
  local s script=''
  for s in "${SERVICES[@]}"; do
    script+="s#http://127\\.0\\.0\\.1:${PORT[$s]}\"#http://$s:8081\"#;s#http://127\\.0\\.0\\.1:${PORT[${s}_admin]}\"#http://$s:9090\"#;"
  done
  sed -E "${script}s#file://$INST/#file:///var/lib/tenantry/#;s#$INST/secrets/#/run/secrets/#"
}
roles() {
  local r
  for r in ddl registry registry_sys auth auth_sys business business_sys backup backup_sys monitoring monitoring_sys; do
    printf "\\\\set pw_tenantry_%s '%s'\n" "$r" "$(secret "pg_tenantry_$r")"
  done
}
users() {
  local u
  echo 'user default off'
  for u in gateway registry auth business backup monitoring; do redis_user "$u"; done
}

mkdir -p "$INST/secrets" "$OUT"/{services,servers,snapshots}
all_secrets
for s in "${SERVICES[@]}"; do config_of "$s" | containers >"$OUT/services/$s.toml"; done
cp "$INST"/secrets/{root_key,backup_signing_key} "$OUT/services/"
if grep -rnE '127\.0\.0\.1|/instance/' "$OUT/services" | grep -v base_uri; then die "an address of this machine is left in a configuration"; fi
secret pg_postgres >"$OUT/servers/postgres_password"
roles >"$OUT/servers/postgres_roles.sql"
users >"$OUT/servers/redis_users.acl"
python3 "$DEV_DIR/definitions.py" "$INST/secrets" >"$OUT/servers/rabbitmq_definitions.json"
# The servers read theirs as users of their own images; nobody else gets into the directory.
chmod 444 "$OUT"/servers/* && chmod 700 "$OUT" && chmod 755 "$HERE"/postgres.sh && chmod 644 "$HERE"/{rabbitmq.conf,enabled_plugins}
# A service reads keys only from files of its own: those of uid 10001 where we may give them away, else it runs as us.
if is_root; then uid=10001 gid=10001 && chown -R 10001:10001 "$OUT/services" "$OUT/snapshots"; else uid=$(id -u) gid=$(id -g); fi
printf 'TENANTRY_UID=%s\nTENANTRY_GID=%s\nTENANTRY_PORT=%s\n' "$uid" "$gid" "$PORT_BASE" >"$HERE/.env"
say "Operator: $OPERATOR_EMAIL, password in $INST/secrets/operator_password"
say "Start:    docker compose -f deploy/compose/compose.yaml up -d      then http://operator.localhost:$PORT_BASE"
