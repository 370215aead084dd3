#!/usr/bin/env bash
# podman.sh ARGS..: podman on the storage that build.sh fills.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
containers_setup
exec podman "$@"
