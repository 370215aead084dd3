#!/usr/bin/env bash
# token.sh TENANT [--instance NAME]: signs the first member of an example tenant (or `operator`) in, prints the access token.
# Uses the public API like any client; the password goes by stdin, never by the argument list.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
parse_options "$@" && load_instance
slug=${ARGS[0]:-acme}
[ -d "$INST" ] || die "instance '$INSTANCE' is not there: 'make up' makes it"

# {"email","password"} of the first member; examples.json: {"tenants":[{"slug","members":[{"email","password","role"}]}]}
login() {
  python3 - "$slug" "$INST" <<'PY'
import json, sys
slug, inst = sys.argv[1:3]
if slug == "operator":
    member = json.load(open(f"{inst}/world.json"))["operator"]
else:
    tenants = {t["slug"]: t for t in json.load(open(f"{inst}/examples.json"))["tenants"]}
    if slug not in tenants:
        sys.exit(f"error: no example tenant '{slug}'; there are: {', '.join(tenants)}, operator")
    member = tenants[slug]["members"][0]
print(json.dumps({"email": member["email"], "password": member["password"]}))
PY
}
answer=$(login | curl -sS --max-time 10 -H 'content-type: application/json' --data-binary @- "http://$slug.localhost:$PORT_BASE/v1/auth:signIn")
printf '%s' "$answer" | python3 -c '
import json, sys
answer = json.load(sys.stdin)
token = answer.get("accessToken") or answer.get("access_token")
sys.exit("error: " + json.dumps(answer)) if not token else print(token)'
