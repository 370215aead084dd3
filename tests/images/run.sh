#!/usr/bin/env bash
# run.sh [--profile debug|release]: builds the images and runs each as it runs in production (user 10001, read-only root,
# no capabilities) against the servers of the instance that TENANTRY_WORLD names: it migrates, becomes ready, stops on
# SIGTERM within ten seconds. Then the compose file, with images built here, and the sizes. The last line is the count.
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/docker/lib.sh"
profile=debug
[ "${1:-}" != --profile ] || profile=$2
world=${TENANTRY_WORLD:?TENANTRY_WORLD names the world.json of an instance that is up}
INST=$(dirname "$world")
ask() { python3 -c 'import json, sys; w = json.load(open(sys.argv[1])); print(eval(sys.argv[2], {"w": w}))' "$world" "$1"; }
base=$(ask 'w["ports"]["gateway"]') instance=$(ask 'w["instance"]')
# Free for test tools in every instance.
port=$((base + 27)) admin=$((base + 28))
passed=0 failed=()
containers_setup
work=$(mktemp -d "$IMAGES/tmp/run.XXXXXX") && chmod 755 "$work"
cleanup() {
  podman rm -f -t 1 "tenantry-$instance-image" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

check() { # NAME COMMAND..
  local name=$1
  shift
  if "$@" >"$work/out" 2>&1; then passed=$((passed + 1)) && say "ok   $name"; else
    failed+=("$name") && say "FAIL $name" && sed 's/^/     /' "$work/out" | tail -n 20
  fi
}
# The instance's own configuration on other ports; what it reads from files, and a place to write, are mounted.
config() { # SERVICE
  local d=$work/$1
  mkdir -p "$d/etc/secrets" "$d/data"
  cp "$INST"/secrets/{root_key,backup_signing_key} "$d/etc/secrets/"
  sed -E -e "s#^(public|grpc) = .*#\1 = \"127.0.0.1:$port\"#" -e "s#^admin = .*#admin = \"127.0.0.1:$admin\"#" \
    -e "s#$INST/secrets/#/etc/tenantry/secrets/#" -e "s#file://$INST/#file:///data/#" "$INST/config/$1.toml" >"$d/etc/config.toml"
  chown -R 10001:10001 "$d" && chmod -R go-rwx "$d"/* && chmod 755 "$d"
}
hardened() { # NAME-OF-IMAGE ARGS..
  podman run --name "tenantry-$instance-image" --network host --user 10001:10001 --read-only --read-only-tmpfs=false --cap-drop all \
    --security-opt no-new-privileges --memory 256m -v "$work/$service/etc:/etc/tenantry:ro" -v "$work/$service/data:/data" "$@"
}
migrates() { hardened --rm "localhost/tenantry-$service:$IMAGE_TAG" migrate --config /etc/tenantry/config.toml; }
ready() { [ "$(curl -s -o /dev/null -m 2 -w '%{http_code}' "http://127.0.0.1:$admin/readyz")" = 200 ]; }
starts() {
  hardened -d "localhost/tenantry-$service:$IMAGE_TAG" run --config /etc/tenantry/config.toml || return 1
  await 30 ready || { podman logs --tail 10 "tenantry-$instance-image" && curl -s -m 2 "http://127.0.0.1:$admin/readyz"; return 1; }
}
confined() {
  local p
  p=$(podman inspect -f '{{.State.Pid}}' "tenantry-$instance-image")
  # uid, no capability, no way to more of them; the root file system is mounted read-only
  grep -qE '^Uid:[[:space:]]+10001[[:space:]]+10001' "/proc/$p/status" && grep -qE '^CapEff:[[:space:]]+0+$' "/proc/$p/status" &&
    grep -qE '^NoNewPrivs:[[:space:]]+1$' "/proc/$p/status" && awk '$5 == "/" { print $6 }' "/proc/$p/mountinfo" | grep -qE '^ro(,|$)'
}
# Exit 137 is podman's SIGKILL after ten seconds.
stops() {
  podman stop -t 10 "tenantry-$instance-image" && local code && code=$(podman inspect -f '{{.State.ExitCode}}' "tenantry-$instance-image") &&
    podman rm "tenantry-$instance-image" && echo "exit code $code" && [ "$code" = 0 ]
}
no_shell() { ! podman run --rm --entrypoint /bin/sh "localhost/$1:$IMAGE_TAG" -c true; }
ctl() { podman run --rm -i --network host --user 10001:10001 --read-only --cap-drop all -v "$work/ctl:/ctl" -e XDG_CONFIG_HOME=/ctl "localhost/tenantctl:$IMAGE_TAG" "$@"; }
client() {
  mkdir -p "$work/ctl" && chown 10001:10001 "$work/ctl" && chmod 700 "$work/ctl"
  ctl login --server "http://127.0.0.1:$base" --tenant operator --email "$OPERATOR_EMAIL" --password-stdin <"$INST/secrets/operator_password" &&
    ctl plans list -o name </dev/null | grep -qx plans/free
}

size() { podman image inspect -f '{{.Size}}' "localhost/$1:$IMAGE_TAG"; }
# MB: what docs/images.md says and a quarter on top. Above that are a binary that was not stripped, the binaries of all services in one
# image, and a base with a package manager.
most() { # PROGRAM
  case $profile-$1 in
    debug-tenantctl) echo 42 ;;
    debug-*) echo 82 ;;
    *-tenantctl) echo 30 ;;
    *) echo 47 ;;
  esac
}
fits() { # PROGRAM MB
  local bytes
  bytes=$(size "$1") && echo "$bytes bytes" && [ "$bytes" -le $(($2 * 1000000)) ]
}

step "images"
"$DOCKER_DIR/build.sh" --profile "$profile" --tag "$IMAGE_TAG"
for service in "${SERVICES[@]}"; do
  config "$service"
  if [ "$service" != gateway ]; then check "$service migrates" migrates; fi
  check "$service becomes ready" starts
  check "$service has no rights and a read-only root" confined
  check "$service stops on SIGTERM" stops
  check "$service has no shell" no_shell "tenantry-$service"
done
check "tenantctl signs in and lists" client
check "the Dockerfiles pass hadolint" "$RUN/tools/images/bin/hadolint" "$DOCKER_DIR/Dockerfile" "$ROOT/tests/images/servers/Dockerfile"
check "the compiling stage of the Dockerfile makes every program" "$ROOT/tests/images/compile.sh"
check "compose.yaml serves two tenants and keeps them apart" "$ROOT/tests/images/compose.sh" "$((base + 29))"
step "sizes ($profile build, stripped)"
for p in "${PROGRAMS[@]}"; do
  printf '%-22s %s MB\n' "$p" "$(size "$p" | awk '{ printf "%.1f", $1 / 1e6 }')"
  check "$p has at most $(most "$p") MB" fits "$p" "$(most "$p")"
done
printf '\n%d passed, %d failed\n' "$passed" ${#failed[@]}
[ ${#failed[@]} = 0 ]
