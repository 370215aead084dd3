#!/usr/bin/env bash
# banner.sh [--instance NAME]: what `make up` prints at the end: addresses, logins and four commands to try.
# Reads only; prints the secrets of this development instance to the terminal of the person who started it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
parse_options "$@" && load_instance
B=$PORT_BASE

row() { printf '  %-12s %-46s %s\n' "$@"; }
table() {
  printf '\nTenantry is up (instance %s, profile %s)\n\n' "$INSTANCE" "$PROFILE"
  row WHAT URL "LOGIN"
  row gateway "http://127.0.0.1:$B" "REST, gRPC, gRPC-Web"
  row operator "http://operator.localhost:$B" "$OPERATOR_EMAIL  /  $(secret operator_password)"
  if [ -s "$INST/examples.json" ]; then
    python3 - "$INST/examples.json" "$B" <<'PY'
import json, sys
for t in json.load(open(sys.argv[1]))["tenants"]:
    for m in t["members"]:
        print(f"  {t['slug']:<12} {'http://' + t['slug'] + '.localhost:' + sys.argv[2]:<46} {m['email']}  /  {m['password']}  ({m['role']})")
PY
  fi
  row postgres "127.0.0.1:${PORT[postgres]}" "deploy/dev/stack.sh psql --instance $INSTANCE tenantry"
  row redis "127.0.0.1:${PORT[redis]}" "users and URLs: $INST/world.json"
  row rabbitmq "http://127.0.0.1:${PORT[rabbit_mgmt]}" "admin  /  $(secret amqp_admin)"
  row metrics "http://127.0.0.1:${PORT[gateway_admin]}/metrics" "admin ports: registry ${PORT[registry_admin]}, auth ${PORT[auth_admin]}, business ${PORT[business_admin]}"
  row logs "$INST/log/" ""
}

# The four commands. The third shows isolation twice: globex's token on acme's record answers like a record that never
# was, and the service's own database login sees no row without a signed context.
commands() {
  local i=''
  [ "$INSTANCE" = dev ] || i=" --instance $INSTANCE"
  cat <<T

Try:
  1. curl -s "http://acme.localhost:$B/v1/objectTypes" -H "authorization: Bearer \$(deploy/dev/token.sh acme$i)"
  2. curl -s "http://acme.localhost:$B/v1/objectTypes/tickets/records?pageSize=3" -H "authorization: Bearer \$(deploy/dev/token.sh acme$i)"
  3. deploy/dev/isolation.sh$i        # globex's token on acme's record: 404; psql as the service's role: 0 rows
  4. deploy/dev/status.sh$i           # and 'make down' to remove everything

T
}
[ "${TENANTRY_QUIET:-0}" = 0 ] || exit 0
table
[ ! -s "$INST/examples.json" ] || commands
