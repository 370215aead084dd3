#!/usr/bin/env bash
# banner.sh [again] [--instance NAME]: what `make up` prints at the end: addresses, logins and four commands to try.
# Reads only. Prints the people's passwords of this development instance to the terminal of the person who started it,
# but not with `again` (a second `make up`), and never those of the servers: those stay in .run/<instance>/secrets.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
parse_options "$@" && load_instance
B=$PORT_BASE
AGAIN=0
[ "${ARGS[0]:-}" != again ] || AGAIN=1
i=''
[ "$INSTANCE" = dev ] || i=" --instance $INSTANCE"
# Paths as a person in the checkout types them.
DIR=.run/$INSTANCE

people() {
  python3 - "$INST" "$B" "$AGAIN" <<'PY'
import json, os, sys
inst, port, again = sys.argv[1], sys.argv[2], sys.argv[3] == "1"
operator = json.load(open(f"{inst}/world.json"))["operator"]
tenants = [{"slug": "operator", "members": [{**operator, "role": "runs the platform"}]}]
if os.path.exists(f"{inst}/examples.json"):
    tenants = json.load(open(f"{inst}/examples.json"))["tenants"] + tenants
rows = [("TENANT", "PAGE AND API", "E-MAIL", "" if again else "PASSWORD", "ROLE")]
for tenant in tenants:
    for n, member in enumerate(tenant["members"]):
        where = (tenant["slug"], f"http://{tenant['slug']}.localhost:{port}") if n == 0 else ("", "")
        rows.append((*where, member["email"], "" if again else member["password"], member["role"]))
widths = [max(len(row[k]) for row in rows) for k in range(5)]
for row in rows:
    print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths) if width).rstrip())
PY
}
row() { printf '  %-10s %-31s %s\n' "$@"; }
servers() {
  row SERVER ADDRESS "HOW TO LOOK"
  row gateway "http://127.0.0.1:$B" "REST, gRPC and gRPC-Web; /openapi.json lists the API"
  row metrics "http://127.0.0.1:${PORT[gateway_admin]}/metrics" "also registry :${PORT[registry_admin]}, auth :${PORT[auth_admin]}, business :${PORT[business_admin]}, backup :${PORT[backup_admin]}, monitoring :${PORT[monitoring_admin]}"
  row postgres "127.0.0.1:${PORT[postgres]}" "deploy/dev/stack.sh psql$i tenantry        (or tenantry_data)"
  row redis "127.0.0.1:${PORT[redis]}" "URLs by user: $DIR/world.json"
  row rabbitmq "http://127.0.0.1:${PORT[rabbit_mgmt]}" "admin, password in $DIR/secrets/amqp_admin"
  row logs "$DIR/log/" "one JSON line for each request"
}

# The four commands. The third shows isolation twice: globex's token on acme's record answers like a record that never
# was, and the service's own database login sees no row without a signed context.
commands() {
  local bearer="-H \"authorization: Bearer \$(deploy/dev/token.sh acme$i)\"" list="http://acme.localhost:$B/v1/objectTypes/tickets/records"
  cat <<T

Try, in this directory:

  1. one of acme's 300 tickets
     curl -s $bearer "$list?pageSize=1" | python3 -m json.tool

  2. the dearest open ones
     curl -sG $bearer $list -d pageSize=3 --data-urlencode 'filter=status = "open" AND amount > 1000' --data-urlencode 'orderBy=amount desc'

  3. isolation: globex's token on acme's record is 404, psql as the service's own login sees 0 rows
     deploy/dev/isolation.sh$i

  4. what runs; "make down" removes all of it
     deploy/dev/status.sh$i

T
}
[ "${TENANTRY_QUIET:-0}" = 0 ] || exit 0
[ "$AGAIN" = 1 ] || printf '\nTenantry is up (instance %s, %s build).\n' "$INSTANCE" "$PROFILE"
echo && people
[ "$AGAIN" = 0 ] || printf '  Passwords: deploy/dev/banner.sh%s\n' "$i"
echo && servers
[ ! -s "$INST/examples.json" ] || commands
