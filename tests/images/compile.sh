#!/usr/bin/env bash
# compile.sh: the compiling stage of deploy/docker/Dockerfile, as `docker build` runs it: the context that .dockerignore lets
# through, a Rust image, the lock file. No image can be pulled where this runs, so the Rust image is made of the distribution's
# compiler and the toolchain of this machine, and the crates are those that cargo has fetched here. Ten to fifteen minutes.
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/docker/lib.sh"
containers_setup
RUST=localhost/tenantry-rust:test
BASE=localhost/tenantry-base:latest
TAG=compiled
work=$(mktemp -d "$IMAGES/tmp/compile.XXXXXX")
trap 'rm -rf "$work" "$IMAGES/tmp/rust"' EXIT

rust_image() {
  ! buildah images -q "$RUST" >/dev/null 2>&1 || return 0
  step "a Rust image without a registry (debootstrap, this toolchain)"
  local root=$IMAGES/tmp/rust mirror sysroot
  rm -rf "$root"
  mirror=$(distribution_mirror)
  debootstrap --variant=minbase --include=gcc,libc6-dev,ca-certificates bookworm "$root" "$mirror" >"$work/debootstrap.log" 2>&1 ||
    die "debootstrap failed: $(tail -n 3 "$work/debootstrap.log")"
  sysroot=$(rustc --print sysroot)
  mkdir -p "$root/usr/local/rust" "$root/usr/local/cargo"
  cp -a "$sysroot"/{bin,lib} "$root/usr/local/rust/"
  [ ! -d "$sysroot/libexec" ] || cp -a "$sysroot/libexec" "$root/usr/local/rust/"
  printf 'FROM scratch\nCOPY . /\nENV PATH=/usr/local/rust/bin:/usr/bin:/bin CARGO_HOME=/usr/local/cargo CARGO_NET_OFFLINE=true\n' >"$work/Containerfile"
  build_image "$RUST" "$root" "$work/Containerfile"
  rm -rf "$root"
}

[ "$(buildah images -q "$BASE" 2>/dev/null)" ] || die "$BASE is not there: run deploy/docker/build.sh first"
rust_image
(cd "$ROOT" && cargo fetch --locked -q)
for p in "${PROGRAMS[@]}"; do
  step "$p, compiled in the image"
  # The compiling stage is one layer for all of them.
  build_image "localhost/$p:$TAG" "$ROOT" "$DOCKER_DIR/Dockerfile" --ignorefile "$ROOT/.dockerignore" \
    --volume "${CARGO_HOME:-$HOME/.cargo}/registry:/usr/local/cargo/registry" \
    --build-arg BINARIES=compiled --build-arg "RUST_IMAGE=$RUST" --build-arg "RUNTIME_IMAGE=$BASE" --build-arg "PROGRAM=$p" || die "$p does not build"
  said=$(podman run --rm "localhost/$p:$TAG" --version) || die "$p does not run"
  case $said in "$p "*) say "      $said" ;; *) die "$p says $said" ;; esac
done
say "ok"
