# shellcheck shell=bash
# Writes config/<service>.toml of an instance, 0600: each service gets its own credentials and nobody else's.
# Sourced by services.sh. A service reads any key from TENANTRY__SECTION__KEY too; these files hold no default.

pg_url() { printf 'postgres://%s:%s@127.0.0.1:%s/%s' "$1" "$(secret "pg_$1")" "${PORT[postgres]}" "$2"; }
redis_url() { printf 'redis://%s:%s@127.0.0.1:%s/0' "$1" "$(secret "redis_$1")" "${PORT[redis]}"; }
amqp_url() { printf 'amqp://%s:%s@127.0.0.1:%s/tenantry' "$1" "$(secret "amqp_$1")" "${PORT[amqp]}"; }

section_listen() {
  if [ "$1" = gateway ]; then
    printf '[listen]\npublic = "127.0.0.1:%s"\nadmin = "127.0.0.1:%s"\n\n' "${PORT[gateway]}" "${PORT[gateway_admin]}"
  else
    printf '[listen]\ngrpc = "127.0.0.1:%s"\nadmin = "127.0.0.1:%s"\n\n' "${PORT[$1]}" "${PORT[${1}_admin]}"
  fi
}
section_pg() { # SECTION SERVICE DATABASE
  printf '[%s]\nurl = "%s"\nsystem_url = "%s"\nddl_url = "%s"\n\n' "$1" \
    "$(pg_url "tenantry_$2" "$3")" "$(pg_url "tenantry_$2_sys" "$3")" "$(pg_url tenantry_ddl "$3")"
}
section_url() { printf '[%s]\nurl = "%s"\n\n' "$1" "$2"; }
# Who calls whom. Everybody asks auth and the registry; the gateway reaches all; backup moves business's data.
calls() {
  case $2 in auth | registry) return 0 ;; business) [ "$1" != auth ] && [ "$1" != monitoring ] ;; *) [ "$1" = gateway ] ;; esac
}
section_peers() {
  local s
  for s in auth registry business backup monitoring; do
    [ "$s" = "$1" ] || ! calls "$1" "$s" || printf '[%s]\nendpoint = "http://127.0.0.1:%s"\n\n' "$s" "${PORT[$s]}"
  done
}

config_of() {
  printf '# Written by deploy/dev/services.sh; overwritten by the next "make up".\ndev = true\n\n'
  section_listen "$1"
  case $1 in
    registry) section_pg db registry tenantry ;;
    auth) section_pg db auth tenantry && section_pg data auth tenantry_data ;;
    business) section_pg data business tenantry_data ;;
    backup) section_pg db backup tenantry ;;
    monitoring) section_pg db monitoring tenantry ;;
    *) ;;
  esac
  section_url redis "$(redis_url "$1")"
  section_url amqp "$(amqp_url "$1")"
  section_peers "$1"
  printf '[identity]\nservice = "%s"\nsecret = "%s"\n\n' "$1" "$(secret "service_$1")"
  # Any collector may be started there, or none; a release build is for measuring, so it exports only where it is told to.
  local otlp=''
  [ "$PROFILE" = release ] || otlp=http://127.0.0.1:$((PORT_BASE + 30))
  printf '[telemetry]\nlog = "%s"\nformat = "json"\notlp_endpoint = "%s"\nsample_ratio = 1.0\n\n' "${TENANTRY_LOG:-info}" "${TENANTRY_OTLP_ENDPOINT-$otlp}"
  case $1 in registry | auth) printf '[public]\nbase_uri_template = "http://{slug}.localhost:%s"\n\n' "${PORT[gateway]}" ;; *) ;; esac
  case $1 in
    auth) config_auth ;;
    backup) printf '[store]\nurl = "file://%s"\n\n[signing]\nkey_file = "%s"\n' "$INST/snapshots" "$INST/secrets/backup_signing_key" ;;
    monitoring) config_monitoring ;;
    # Short, so that what was used is seen soon.
    gateway | business) printf '[metering]\ninterval_seconds = 2\n\n' ;;
    *) ;;
  esac
}
config_monitoring() {
  local s
  printf '[health.targets]\n'
  for s in "${SERVICES[@]}"; do [ "$s" = monitoring ] || printf '%s = "http://127.0.0.1:%s"\n' "$s" "${PORT[${s}_admin]}"; done
}
config_auth() {
  printf '[bootstrap]\noperator_email = "%s"\noperator_password = "%s"\n\n' "$OPERATOR_EMAIL" "$(secret operator_password)"
  printf '[keys]\nroot_key_file = "%s"\n\n' "$INST/secrets/root_key"
  local s pairs=()
  for s in "${SERVICES[@]}"; do pairs+=("$s = \"$(secret "service_$s")\""); done
  printf '[services]\nsecrets = { %s }\n' "$(IFS=, && printf '%s' "${pairs[*]}")"
}
write_configs() {
  local s
  for s in "${SERVICES[@]}"; do
    config_of "$s" >"$INST/config/$s.toml.new" && mv "$INST/config/$s.toml.new" "$INST/config/$s.toml"
  done
}
