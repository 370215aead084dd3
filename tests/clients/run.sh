#!/usr/bin/env bash
# run.sh [python|grpcurl|curl|node|browser|pictures ..]: the clients customers really use, against the gateway of TENANTRY_WORLD.
# Stubs are generated from proto/ into target/clients at every run. Each script prints "N passed, N failed".
# `pictures` takes those of the README anew (docs/screenshots), from an instance with the examples.
# The tools come from deploy/dev/tools.sh (TENANTRY_TOOLS, default .run/tools).
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
ROOT=$(cd "$HERE/../.." && pwd -P)
TOOLS=${TENANTRY_TOOLS:-$ROOT/.run/tools}
OUT=${CARGO_TARGET_DIR:-$ROOT/target}/clients
: "${TENANTRY_WORLD:?set it to the world.json of a running instance, such as .run/dev/world.json}"
export TENANTRY_WORLD TENANTRY_TOOLS=$TOOLS TENANTRY_STUBS=$OUT TENANTRY_PROTO=$ROOT/proto PYTHONDONTWRITEBYTECODE=1
export PATH=$TOOLS/bin:$TOOLS/node_modules/.bin:$PATH:$TOOLS/venv/bin
export TENANTRY_SCREENSHOTS=${CARGO_TARGET_DIR:-$ROOT/target}/screenshots
[ -x "$TOOLS/venv/bin/python" ] || { echo "error: no tools in $TOOLS: run deploy/dev/tools.sh" >&2; exit 1; }
PYTHON=$TOOLS/venv/bin/python

python_stubs() {
  rm -rf "$OUT/python" && mkdir -p "$OUT/python"
  (cd "$ROOT/proto" && find tenantry google -name '*.proto' -print0 |
    xargs -0 "$PYTHON" -m grpc_tools.protoc -I. --python_out="$OUT/python" --grpc_python_out="$OUT/python")
}
node_stubs() {
  rm -rf "$OUT/node" && mkdir -p "$OUT/node"
  (cd "$ROOT" && buf generate proto --template \
    "{\"version\":\"v2\",\"plugins\":[{\"local\":\"protoc-gen-es\",\"out\":\"$OUT/node/gen\",\"opt\":[\"target=ts\",\"import_extension=js\"]}]}")
  echo '{"type": "module"}' >"$OUT/node/package.json"
  cp "$HERE"/node/*.ts "$HERE/node/tsconfig.json" "$OUT/node/"
  # Node resolves packages from the directory of the file.
  ln -sfn "$TOOLS/node_modules" "$OUT/node/node_modules"
  tsc -p "$OUT/node"
}

failed=()
client() { # NAME COMMAND..
  local name=$1
  shift
  printf -- '--- %s\n' "$name"
  "$@" </dev/null || failed+=("$name")
}
run_one() {
  case $1 in
    python) python_stubs && client python "$PYTHON" "$HERE/python/grpc_client.py" ;;
    grpcurl) client grpcurl bash "$HERE/shell/grpcurl.sh" ;;
    curl) client curl bash "$HERE/shell/curl.sh" ;;
    node)
      node_stubs
      client node-typescript node "$OUT/node/dist/connect_client.js"
      client node-grpc-js node "$OUT/node/dist/grpc_js_client.js"
      ;;
    browser)
      node_stubs
      client browser node "$OUT/node/dist/sign_in_page.js"
      client tenant-pages node "$OUT/node/dist/tenant_pages.js"
      client operator-pages node "$OUT/node/dist/operator_pages.js"
      client branding-page node "$OUT/node/dist/branding_page.js"
      ;;
    pictures)
      node_stubs
      TENANTRY_PICTURES=$ROOT/docs/screenshots client pictures node "$OUT/node/dist/pictures.js"
      ;;
    *) echo "error: no client '$1'" >&2 && return 1 ;;
  esac || failed+=("$1")
}
[ $# -gt 0 ] || set -- python grpcurl curl node browser
for name in "$@"; do run_one "$name"; done
if [ ${#failed[@]} -gt 0 ]; then
  echo "clients that failed: ${failed[*]}" >&2
  exit 1
fi
echo "clients: all passed"
