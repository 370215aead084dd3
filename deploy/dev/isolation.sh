#!/usr/bin/env bash
# isolation.sh [--instance NAME]: shows that one tenant cannot reach another's record, through the API and through SQL.
# First the rightful owner succeeds with the very same call: a 404 alone would prove nothing. Reads only.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
parse_options "$@" && load_instance
pg_find || die "psql is not there"
type=${ARGS[0]:-tickets}
acme=$("$DEV_DIR/token.sh" acme --instance "$INSTANCE") globex=$("$DEV_DIR/token.sh" globex --instance "$INSTANCE")
base=http://127.0.0.1:$PORT_BASE

# get TOKEN PATH: the token goes by a config on stdin, not by argv
get() { curl -sS --max-time 10 -w '\n%{http_code}' -K - "$base$2" <<<"header = \"authorization: Bearer $1\""; }
record=$(get "$acme" "/v1/objectTypes/$type/records?pageSize=1" | head -n1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["records"][0]["name"])') ||
  die "acme has no record of type $type"
verdict=0
check() { # LABEL WANTED GOT
  printf '  %-62s %s\n' "$1" "$3"
  [ "$2" = "$3" ] || { warn "expected $2" && verdict=1; }
}
say "record of acme: $record"
check "GET with acme's token" 200 "$(get "$acme" "/v1/$record" | tail -n1)"
check "GET with globex's token: as if it never was" 404 "$(get "$globex" "/v1/$record" | tail -n1)"

# The service's own database login, in the database, on the tenant's tables: without a signed context there is no row.
sql() { PGPASSWORD=$(secret "pg_$1") "$PG_BIN/psql" -XAtq -h 127.0.0.1 -p "${PORT[postgres]}" -U "$1" -d tenantry_data; }
table=$(PGPASSWORD=$(secret pg_postgres) "$PG_BIN/psql" -XAtq -h 127.0.0.1 -p "${PORT[postgres]}" -U postgres -d tenantry_data -c \
  "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname ~ '^t_[0-9a-f]{32}\$' and c.relkind = 'r' and c.relrowsecurity order by c.reltuples desc, 1 limit 1")
[ -n "$table" ] || die "no tenant table found"
rows=$(PGPASSWORD=$(secret pg_postgres) "$PG_BIN/psql" -XAtq -h 127.0.0.1 -p "${PORT[postgres]}" -U postgres -d tenantry_data -c "select count(*) > 0 from $table")
check "psql as the superuser: $(cut -c1-10 <<<"$table").. has rows" t "$rows"
check "psql as tenantry_business, the service's role: rows seen" 0 "$(sql tenantry_business <<<"select count(*) from $table")"
exit $verdict
