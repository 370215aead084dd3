# shellcheck shell=bash disable=SC2034
# Shared by build.sh and tests/images: buildah and podman with storage and settings of their own, so that nobody's images
# or containers are touched. Sourced, never run.
source "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/../dev/lib.sh"
DOCKER_DIR=$ROOT/deploy/docker
# Outside the checkout: containers run as another user, who may not enter a private home.
IMAGES=${TENANTRY_IMAGES:-/var/tmp/tenantry-$(printf '%s' "$ROOT" | sha256sum | cut -c1-12)-images}
PROGRAMS=(tenantry-gateway tenantry-registry tenantry-auth tenantry-business tenantry-backup tenantry-monitoring tenantctl)
IMAGE_TAG=${IMAGE_TAG:-dev}

containers_setup() {
  is_root || die "building and running images needs root here: rootless podman wants subordinate ids and fuse"
  mkdir -p "$IMAGES"/{storage,run,config,tmp,networks}
  chmod 755 "$IMAGES"
  printf '[storage]\ndriver = "%s"\ngraphroot = "%s/storage"\nrunroot = "%s/run"\n' "${TENANTRY_STORAGE:-overlay}" "$IMAGES" "$IMAGES" >"$IMAGES/config/storage.conf"
  printf '{"default": [{"type": "insecureAcceptAnything"}]}\n' >"$IMAGES/config/policy.json"
  # runc and cgroupfs work without systemd; the limits are what a container without CAP_SYS_RESOURCE may keep.
  cat >"$IMAGES/config/containers.conf" <<C
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
[network]
# Containers find each other by name.
network_backend = "netavark"
network_config_dir = "$IMAGES/networks"
C
  export CONTAINERS_STORAGE_CONF=$IMAGES/config/storage.conf CONTAINERS_CONF=$IMAGES/config/containers.conf
  export BUILDAH_ISOLATION=chroot TMPDIR=$IMAGES/tmp
}

# Where this machine's packages come from; nothing where that cannot be told.
distribution_mirror() {
  sed -nE 's/^(URIs: |deb )(\[.*\] )?([a-z]+:[^ ]+).*/\3/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n1 || true
}

# build_image TAG CONTEXT FILE ARGS..
build_image() {
  local tag=$1 context=$2 file=$3
  shift 3
  buildah bud --quiet --layers --pull-never --signature-policy "$IMAGES/config/policy.json" --timestamp 0 \
    "$@" -f "$file" -t "$tag" "$context" >/dev/null
}
