#!/usr/bin/env bash
# down.sh [--instance NAME] [--keep-data]: stops services, then servers; removes data, secrets and links unless told not to.
# It leaves no process of the instance, whatever happened to pid files.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
parse_options "$@" && load_instance
if [ ! -d "$INST" ] && [ ! -d "$STATE" ]; then
  say "instance '$INSTANCE' is not there"
  rm -f "$RUN/$INSTANCE.lock"
  exit 0
fi
with_lock "$@"
step "stop instance $INSTANCE"
"$DEV_DIR/services.sh" stop --instance "$INSTANCE"
if [ "$KEEP_DATA" = 1 ]; then
  "$DEV_DIR/stack.sh" down --instance "$INSTANCE"
  rm -f "$INST/up.done"
  say "stopped; data kept in $STATE ('make up' continues with it)"
  exit 0
fi
"$DEV_DIR/stack.sh" wipe --instance "$INSTANCE"
rm -rf "$INST"
rm -f "$RUN/$INSTANCE.lock"
rmdir "$RUN" 2>/dev/null || true
say "stopped, data removed"
