#!/usr/bin/env bash
# up.sh [--instance NAME] [--port-base N] [--profile debug|release] [--fsync on|off] [--no-examples] [--no-build]: everything, from nothing.
# Installs what is missing, starts the servers, builds, migrates, starts the services, loads the examples, prints what there is.
# A second run finds it up and changes nothing. `down.sh` undoes it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
parse_options "$@"
[ -n "$PORT_BASE" ] || PORT_BASE=${TENANTRY_PORT_BASE:-} # asked for here, so an instance on another range is an error
load_instance

load_examples() {
  step "examples: acme and globex"
  local ctl="${CARGO_TARGET_DIR:-$ROOT/target}/$PROFILE/tenantctl"
  # world.json has the addresses and the operator's login: a secret never stands in an argument list. It writes
  # $INST/examples.json: {"tenants":[{"slug","members":[{"email","password","role"}]}]}, which banner.sh and token.sh read.
  TENANTRY_WORLD=$INST/world.json "$ctl" example load --file "$ROOT/examples" || die "loading the examples failed"
  date -u +%FT%TZ >"$INST/examples.done"
}

if [ -e "$INST/up.done" ] && "$DEV_DIR/services.sh" status --instance "$INSTANCE" >/dev/null && "$DEV_DIR/stack.sh" status --instance "$INSTANCE" >/dev/null; then
  say "instance '$INSTANCE' is already up on port $PORT_BASE (profile $PROFILE); 'make down' stops it"
  exec "$DEV_DIR/banner.sh" again --instance "$INSTANCE"
fi

[ "$NO_BUILD" = 1 ] || need_rust
with_lock "$@"
"$DEV_DIR/install.sh"
# Before a server starts: the services' ports too. A range that is half busy should not be found out after a long build.
{
  "$DEV_DIR/stack.sh" ports --instance "$INSTANCE" --port-base "$PORT_BASE"
  "$DEV_DIR/services.sh" ports --instance "$INSTANCE" --port-base "$PORT_BASE"
} | "$DEV_DIR/ports.py" || {
  [ -d "$INST" ] || rm -f "$RUN/$INSTANCE.lock"
  exit 1
}
stack=(--instance "$INSTANCE" --port-base "$PORT_BASE" --profile "$PROFILE" --fsync "$FSYNC")
[ "$EXAMPLES" = 1 ] || stack+=(--no-examples)
"$DEV_DIR/stack.sh" up "${stack[@]}"
save_instance
[ "$NO_BUILD" = 1 ] || "$DEV_DIR/services.sh" build --instance "$INSTANCE"
"$DEV_DIR/services.sh" configure --instance "$INSTANCE"
"$DEV_DIR/stack.sh" world --instance "$INSTANCE"
"$DEV_DIR/services.sh" migrate --instance "$INSTANCE"
"$DEV_DIR/services.sh" start --instance "$INSTANCE"
[ "$EXAMPLES" = 0 ] || [ -e "$INST/examples.done" ] || load_examples
date -u +%FT%TZ >"$INST/up.done"
"$DEV_DIR/banner.sh" --instance "$INSTANCE"
