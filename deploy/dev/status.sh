#!/usr/bin/env bash
# status.sh [--instance NAME]: what runs. Exits 0 only if everything is up and ready.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
parse_options "$@" && load_instance
[ -d "$INST" ] || die "instance '$INSTANCE' is not there: 'make up' makes it"
rc=0
"$DEV_DIR/stack.sh" status --instance "$INSTANCE" || rc=1
"$DEV_DIR/services.sh" status --instance "$INSTANCE" || rc=1
exit $rc
