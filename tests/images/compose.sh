#!/usr/bin/env bash
# compose.sh [PORT]: the whole of deploy/compose/compose.yaml under podman-compose, with images built here; two tenants are
# made, used, backed up and kept from each other. The servers' images are stand-ins made of the distribution's packages,
# because no image can be pulled where this runs; the file, its order, secrets, network and read-only containers are the real
# ones.
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/docker/lib.sh"
port=${1:-8129}
HERE=$ROOT/tests/images
SERVERS=localhost/tenantry-servers:test
containers_setup
export TENANTRY_COMPOSE_STATE=$ROOT/deploy/compose/state
export POSTGRES_IMAGE=$SERVERS REDIS_IMAGE=$SERVERS RABBITMQ_IMAGE=$SERVERS IMAGE_TAG PODMAN_COMPOSE_WARNING_LOGS=false
export PATH=$RUN/tools/images/bin:$PATH
compose() { podman-compose --in-pod false -f "$ROOT/deploy/compose/compose.yaml" "$@"; }
work=$(mktemp -d "$IMAGES/tmp/compose.XXXXXX")

servers_image() {
  local base=localhost/tenantry-servers-base:test root=$IMAGES/tmp/servers mirror
  buildah images -q "$base" >/dev/null 2>&1 || {
    step "stand-ins for the servers (debootstrap)"
    rm -rf "$root"
    mirror=$(distribution_mirror)
    debootstrap --variant=minbase --include=postgresql-15,redis-server,rabbitmq-server bookworm "$root" "$mirror" >"$work/debootstrap.log" 2>&1 ||
      die "debootstrap failed: $(tail -n 3 "$work/debootstrap.log")"
    printf 'FROM scratch\nCOPY . /\n' >"$work/Containerfile"
    build_image "$base" "$root" "$work/Containerfile"
    rm -rf "$root"
  }
  # debootstrap knows no security updates, and PostgreSQL has a floor.
  mkdir -p "$work/servers/root"
  cp "$HERE"/servers/* "$work/servers/"
  (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root postgresql-15 postgresql-client-15 libpq5) || die "apt-get download failed: run apt-get update"
  for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$work/servers/root"; done
  chmod -R go+rX "$work/servers"
  build_image "$SERVERS" "$work/servers" "$HERE/servers/Dockerfile" --build-arg BASE_IMAGE="$base"
}
cleanup() {
  local rc=$?
  [ "$rc" = 0 ] || { compose ps; compose logs --tail 5; } 2>&1 | tail -n 80
  compose down -v -t 12 >/dev/null 2>&1 || true
  rm -rf "$TENANTRY_COMPOSE_STATE" "$ROOT"/deploy/compose/.{env,graph.yaml} "$work"
  exit "$rc"
}
ctl() { XDG_CONFIG_HOME=$work "$ROOT/target/debug/tenantctl" "$@"; }
operator() { ctl login --server "http://127.0.0.1:$port" --tenant operator --email "$OPERATOR_EMAIL" --password-stdin <"$1" 2>"$work/login"; }

servers_image
[ ! -e "$TENANTRY_COMPOSE_STATE" ] || die "deploy/compose/state is there: this test would remove it"
trap cleanup EXIT
"$ROOT/deploy/compose/setup.sh" "$port" >/dev/null
step "podman-compose up"
"$RUN/tools/images/bin/python3" "$HERE/graph.py" "$ROOT/deploy/compose/compose.yaml" "$ROOT/deploy/compose/.graph.yaml" podman-compose --in-pod false ||
  die "podman-compose up failed"
password=$TENANTRY_COMPOSE_STATE/instance/secrets/operator_password
for try in $(seq 30); do
  ! operator "$password" || break
  [ "$try" != 30 ] || die "nobody can sign in: $(cat "$work/login")"
  sleep 1
done
step "two tenants are made, used, backed up and kept apart"
GATEWAY=http://127.0.0.1:$port BASE_DOMAIN=localhost OPERATOR_HOST=operator.localhost OPERATOR_EMAIL=$OPERATOR_EMAIL \
  OPERATOR_PASSWORD=$(cat "$password") sh "$ROOT/k8s/chart/files/test.sh"
ctl services list
step "podman-compose down"
compose stop -t 12 >/dev/null 2>&1
for s in "${SERVICES[@]}"; do
  code=$(podman inspect -f '{{.State.ExitCode}}' "tenantry_${s}_1")
  [ "$code" = 0 ] || die "$s ended with $code"
done
say "ok"
