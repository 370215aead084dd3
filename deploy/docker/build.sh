#!/usr/bin/env bash
# build.sh [--profile debug|release] [--tag TAG] [PROGRAM..]: the images of deploy/docker/Dockerfile without a registry and
# without a docker engine: buildah, the binaries that cargo built here, and a base made of packages of this distribution.
# They land in a storage of their own (see lib.sh); `deploy/docker/podman.sh` is podman on that storage.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
profile=debug programs=()
while [ $# -gt 0 ]; do
  case $1 in
    --profile) profile=${2:?debug or release} && shift 2 ;;
    --tag) IMAGE_TAG=${2:?a tag} && shift 2 ;;
    --*) die "usage: build.sh [--profile debug|release] [--tag TAG] [PROGRAM..]" ;;
    *) programs+=("$1") && shift ;;
  esac
done
[ ${#programs[@]} -gt 0 ] || programs=("${PROGRAMS[@]}")
BASE=localhost/tenantry-base:latest
PACKAGES=(base-files ca-certificates libc6 libgcc-s1 netbase tzdata)
containers_setup

# Like a distroless image: the files of a few packages, two accounts, no shell.
base_image() {
  ! buildah images -q "$BASE" >/dev/null 2>&1 || return 0
  step "base image: ${PACKAGES[*]}"
  local root=$IMAGES/tmp/base debs=$IMAGES/tmp/debs p
  rm -rf "$root" "$debs" && mkdir -p "$root"/{etc/ssl/certs,usr/bin,usr/sbin,usr/lib,usr/lib64,tmp,var/tmp} "$debs"
  chmod 755 "$root" "$debs"
  # The merged /usr of the distribution.
  for p in bin sbin lib lib64; do ln -s "usr/$p" "$root/$p"; done
  (cd "$debs" && umask 022 && apt-get download -qq -o APT::Sandbox::User=root "${PACKAGES[@]}") || die "apt-get download failed: run apt-get update"
  for p in "$debs"/*.deb; do dpkg-deb --fsys-tarfile "$p" | tar -x --keep-directory-symlink --no-same-owner -C "$root"; done
  find "$root/usr/share/ca-certificates" -name '*.crt' -exec cat {} + >"$root/etc/ssl/certs/ca-certificates.crt"
  rm -rf "$root/usr/share"/{doc,man,lintian,bug,locale,info}
  printf 'root:x:0:0:root:/root:/sbin/nologin\ntenantry:x:10001:10001:tenantry:/nonexistent:/sbin/nologin\n' >"$root/etc/passwd"
  printf 'root:x:0:\ntenantry:x:10001:\n' >"$root/etc/group"
  printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
  chmod -R go+rX "$root" && chmod 1777 "$root/tmp" "$root/var/tmp"
  printf 'FROM scratch\nCOPY . /\n' >"$IMAGES/tmp/Containerfile.base"
  build_image "$BASE" "$root" "$IMAGES/tmp/Containerfile.base"
  rm -rf "$root" "$debs"
}

version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml" | head -n1)
bin=$IMAGES/tmp/bin
base_image
rm -rf "$bin" && mkdir -p "$bin"
for p in "${programs[@]}"; do
  from=${CARGO_TARGET_DIR:-$ROOT/target}/$profile/$p
  [ -x "$from" ] || die "$from is not there: cargo build $([ "$profile" = debug ] || echo --release) --bin $p"
  strip -o "$bin/$p" "$from"
done
chmod -R go+rX "$bin"
for p in "${programs[@]}"; do
  step "localhost/$p:$IMAGE_TAG"
  build_image "localhost/$p:$IMAGE_TAG" "$bin" "$DOCKER_DIR/Dockerfile" --build-arg BINARIES=prebuilt --build-arg "RUNTIME_IMAGE=$BASE" \
    --build-arg "PROGRAM=$p" --build-arg "VERSION=$version"
done
rm -rf "$bin"
