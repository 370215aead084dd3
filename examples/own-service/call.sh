#!/usr/bin/env bash
# call.sh [--instance NAME]: registers this service with a running instance, starts it, and calls it through the gateway as
# the owner of acme: REST with curl, gRPC with grpcurl where that is installed. Leaves nothing running; the instance keeps knowing it
# until auth and gateway start again.
set -euo pipefail
umask 077
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
instance=${TENANTRY_INSTANCE:-dev}
[ "${1:-}" != --instance ] || instance=${2:?--instance needs a name}
inst=$root/.run/$instance
[ -s "$inst/world.json" ] || { echo "error: instance '$instance' is not there: 'make up' makes it" >&2 && exit 1; }
[ -s "$inst/examples.json" ] || { echo "error: the example tenants are not there: tenantctl example load --world $inst/world.json" >&2 && exit 1; }
of() { python3 -c 'import json,sys; print(eval(sys.argv[2], {"w": json.load(open(sys.argv[1]))}))' "$inst/world.json" "$1"; }
base=$(of 'w["port_base"]') bin=$(of 'w["bin_dir"]')
grpc=$((base + 12)) admin=$((base + 13))
work=$(mktemp -d) service=''
cleanup() {
  [ -z "$service" ] || kill "$service" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

echo "==> build"
profile=()
[ "$(of 'w["profile"]')" = debug ] || profile=(--release)
(cd "$root" && umask 022 && cargo build --locked -p own-service --bin own-service "${profile[@]}")

echo "==> register: auth learns the service's secret, the gateway where it listens and what its methods are"
secret=$inst/secrets/service_greeting
[ -s "$secret" ] || openssl rand -hex 24 >"$secret"
"$bin/own-service" descriptors >"$inst/config/greeting.binpb"
TENANTRY__SERVICES__SECRETS__GREETING=$(cat "$secret") "$root/deploy/dev/services.sh" restart --instance "$instance" auth
TENANTRY__UPSTREAMS__GREETING__ENDPOINT=http://127.0.0.1:$grpc TENANTRY__UPSTREAMS__GREETING__DESCRIPTORS=$inst/config/greeting.binpb \
  "$root/deploy/dev/services.sh" restart --instance "$instance" gateway

echo "==> start"
cat >"$work/greeting.toml" <<T
dev = true
listen = { grpc = "127.0.0.1:$grpc", admin = "127.0.0.1:$admin" }
auth = { endpoint = "http://127.0.0.1:$((base + 3))" }
registry = { endpoint = "http://127.0.0.1:$((base + 1))" }
identity = { service = "greeting", secret_file = "$secret" }
T
"$bin/own-service" "$work/greeting.toml" 2>"$work/log" &
service=$!
for _ in $(seq 100); do
  ready=$(curl -s -o /dev/null -m 1 -w '%{http_code}' "http://127.0.0.1:$admin/readyz" || true)
  [ "$ready" != 200 ] || break
  kill -0 "$service" 2>/dev/null || break
  sleep 0.1
done
[ "$ready" = 200 ] || { cat "$work/log" >&2 && echo "error: the service is not ready" >&2 && exit 1; }

echo "==> call through the gateway"
token=$("$root/deploy/dev/token.sh" acme --instance "$instance")
# The token goes by stdin or the environment, not by the argument list.
rest() { curl -sS --max-time 10 -w '\n%{http_code}\n' -K - "http://$1:$base/v1/greeting?nickname=Olivia" <<<"header = \"authorization: Bearer $token\""; }
answer=$(rest acme.localhost)
echo "REST   $answer"
[[ $answer == *'owner of Acme Machine Tools'*200 ]] || { cat "$work/log" >&2 && echo "error: not the expected greeting" >&2 && exit 1; }
PATH=$PATH:$root/.run/tools/venv/bin
if command -v grpcurl >/dev/null; then
  # shellcheck disable=SC2016 # grpcurl expands it, so that the token is in no argument list
  answer=$(TOKEN=$token grpcurl -plaintext -expand-headers -authority "acme.localhost:$base" -H 'authorization: Bearer ${TOKEN}' \
    -d '{"nickname": "Olivia"}' "127.0.0.1:$base" example.greeting.v1.GreetingService/Greet)
  echo "gRPC   $answer"
  [[ $answer == *'owner of Acme Machine Tools'* ]] || { echo "error: not the expected greeting" >&2 && exit 1; }
fi
answer=$(rest globex.localhost)
echo "globex ${answer##*$'\n'}: acme's token is nobody's there"
[[ $answer == *404 ]] || { echo "error: expected 404" >&2 && exit 1; }
echo "own service: ok"
