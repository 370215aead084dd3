#!/usr/bin/env bash
# isolation.sh [TYPE] [--instance NAME]: shows that one tenant cannot reach another's record, through the API and through SQL.
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
check() { # LABEL WANTED GOT [WHAT TO PRINT IF THEY ARE EQUAL]
  printf '  %-62s %s\n' "$1" "$([ "$2" != "$3" ] || [ -z "${4:-}" ] && echo "$3" || echo "$4")"
  [ "$2" = "$3" ] || { warn "expected $2" && verdict=1; }
}
say "record of acme: $record"
check "GET with acme's token" 200 "$(get "$acme" "/v1/$record" | tail -n1)"
check "GET with globex's token" 404 "$(get "$globex" "/v1/$record" | tail -n1)"
# The answer itself gives nothing away: but for the request id it is the one for a record that nobody has.
told() { get "$globex" "/v1/$1" | head -n1 | python3 -c 'import json,sys; a=json.load(sys.stdin); print(a["reason"], a["title"], a["detail"])'; }
check "the same words as for a record that never was" "$(told "${record%/*}/00000000-0000-7000-8000-0000000000ff")" "$(told "$record")" same

# The service's own database login, on the very table the record is in: without a signed context there is no row.
tenant=$(cut -d. -f2 <<<"$acme" | python3 -c 'import base64,json,sys; t=sys.stdin.read().strip(); print(json.loads(base64.urlsafe_b64decode(t + "==="))["tid"].replace("-", ""))')
table=t_$tenant.o_$type
[[ $table =~ ^t_[0-9a-f]{32}\.o_[a-z0-9_]+$ ]] || die "'$type' is no type, or the token names no tenant"
rows() { PGPASSWORD=$(secret "pg_$1") "$PG_BIN/psql" -XAtq -h 127.0.0.1 -p "${PORT[postgres]}" -U "$1" -d tenantry_data -c "select count(*) from $table"; }
say "select count(*) from $table"
all=$(rows postgres)
[ "$all" -gt 0 ] || die "$table is empty: nothing can be shown with it"
check "psql as the superuser: all rows" "$all" "$all"
check "psql as tenantry_business, the service's own login" 0 "$(rows tenantry_business)"
exit $verdict
