#!/usr/bin/env bash
# install.sh [--for-tests] [--packages-only]: what the machine lacks, from the distribution. Says it first, then does it.
# Nothing that is installed here may start by itself, and a server that was there before is never touched.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

for_tests=0 packages_only=0
for a in "$@"; do
  case $a in
    --for-tests) for_tests=1 ;;
    --packages-only) packages_only=1 ;;
    *) die "usage: install.sh [--for-tests] [--packages-only]" ;;
  esac
done

has() { command -v "$1" >/dev/null 2>&1; }
redis_ok() { has redis-server && [ "$(redis-server --version | grep -oE 'v=[0-9]+' | cut -c3-)" -ge 7 ]; }
# Debian puts it where only root's PATH looks.
pgbouncer_ok() { has pgbouncer || [ -x /usr/sbin/pgbouncer ]; }
venv_ok() { has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }

# Filled by need PACKAGE WHY
missing=() why=()
need() { missing+=("$1") && why+=("$2"); }

list_missing() {
  has cc || { need gcc "linker for Rust, C parts of ring" && need libc6-dev "headers for the same"; }
  has curl || need curl "HTTP probes and the printed commands"
  has python3 || need python3 "writes the instance's JSON files"
  has openssl || need openssl "random secrets"
  has make || need make "the commands of this project"
  [ -s /etc/ssl/certs/ca-certificates.crt ] || need ca-certificates "roots for TLS clients"
  pg_find || need "$(pg_package)" "database, at least 15.19 / 16.15 / 17.11 / 18.6 (found:${PG_SEEN:- none})"
  redis_ok || need redis-server "cache, 7.0 or later"
  [ -x "$RMQ_BIN/rabbitmq-server" ] || need rabbitmq-server "message broker, 3.10 or later"
  [ "$for_tests" = 1 ] || return 0
  has chromium || need chromium "sign-in page in a real browser"
  venv_ok || need python3-venv "gRPC client of another language"
  pgbouncer_ok || need pgbouncer "connection pooler, to prove the tenant context behind it"
  { has prometheus && has promtool; } || need prometheus "alert rules: unit tests, and a live instance that scrapes ours"
  has prometheus-alertmanager || has alertmanager || need prometheus-alertmanager "alerts on their way to a receiver"
  has shellcheck || need shellcheck "lint of these scripts"
  [ "${TENANTRY_FULL:-0}" = 1 ] || return 0
  has buildah || need buildah "builds the images (tests/images)"
  has podman || need podman "runs them"
  has runc || need runc "the same"
  has conmon || need conmon "the same"
  [ -x /usr/lib/podman/netavark ] || need netavark "networks of containers"
  [ -x /usr/lib/podman/aardvark-dns ] || need aardvark-dns "names of containers"
  has iptables || [ -x /usr/sbin/iptables ] || need iptables "the same"
  has debootstrap || [ -x /usr/sbin/debootstrap ] || need debootstrap "servers in containers, where no image can be pulled"
  has strip || need binutils "smaller images"
}

# The distribution's own major if 15 is not on offer (Ubuntu 24.04 has 16).
pg_package() {
  local m
  for m in 15 16 17 18; do
    if apt-cache policy "postgresql-$m" 2>/dev/null | grep -q 'Candidate: [0-9]'; then
      echo "postgresql-$m"
      return
    fi
  done
  case $(. /etc/os-release && echo "${VERSION_CODENAME:-}") in # package lists not fetched yet
    noble) echo postgresql-16 ;;
    trixie) echo postgresql-17 ;;
    *) echo postgresql-15 ;;
  esac
}

# While we install: no package may start its service, and PostgreSQL may not create its "main" cluster.
POLICY=/usr/sbin/policy-rc.d NOCLUSTER=/etc/postgresql-common/createcluster.d/tenantry-dev.conf
guard_on() {
  trap guard_off EXIT
  [ ! -e "$POLICY" ] || mv "$POLICY" "$POLICY.tenantry-saved"
  printf '#!/bin/sh\nexit 101\n' >"$POLICY" && chmod 755 "$POLICY"
  mkdir -p "$(dirname "$NOCLUSTER")" && echo 'create_main_cluster = false' >"$NOCLUSTER"
}
guard_off() {
  rm -f "$POLICY" "$NOCLUSTER"
  [ ! -e "$POLICY.tenantry-saved" ] || mv "$POLICY.tenantry-saved" "$POLICY"
}

# policy-rc.d holds only during the installation: a unit that came with a package of ours must not start at the next boot either.
disable_units() {
  [ -d /run/systemd/system ] || return 0
  local p
  for p in "${missing[@]}"; do
    case $p in
      redis-server) systemctl disable redis-server.service ;;
      pgbouncer) systemctl disable pgbouncer.service ;;
      prometheus | prometheus-alertmanager) systemctl disable "$p.service" ;;
      rabbitmq-server) systemctl disable rabbitmq-server.service epmd.service epmd.socket ;;
      *) ;;
    esac
  done >/dev/null 2>&1 || true
}

apt_install() {
  local i again="sudo deploy/dev/install.sh --packages-only"
  [ "$for_tests" = 0 ] || again="$again --for-tests"
  step "needed from the distribution (apt-get install --no-install-recommends):"
  for i in "${!missing[@]}"; do printf '      %-18s %s\n' "${missing[$i]}" "${why[$i]}"; done
  has apt-get || die "this script knows apt-get only: install the list above with your package manager, then run it again"
  is_root || die "that needs root. Run:  $again"
  guard_on
  umask 022
  step "apt-get update"
  apt-get update -qq
  step "apt-get install"
  # --no-install-recommends keeps mail servers and documentation out; noninteractive because CI has no terminal.
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get install -y -q --no-install-recommends \
    -o Dpkg::Options::=--force-confold "${missing[@]}" </dev/null | grep -E '^(Setting up|E:|W:)' || true
  umask 077
  guard_off
  trap - EXIT
  disable_units
}

list_missing
if [ ${#missing[@]} -gt 0 ]; then
  apt_install
  wanted=("${missing[@]}") missing=() why=()
  list_missing
  [ ${#missing[@]} -eq 0 ] || die "still missing after installing ${wanted[*]}: ${missing[*]} (PostgreSQL found:${PG_SEEN:- none})"
fi
if is_root && ! id "$STACK_USER" >/dev/null 2>&1; then
  step "system user $STACK_USER: the servers run as it, because we are root"
  useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$STACK_USER"
fi
if [ "$for_tests" = 1 ] && [ "$packages_only" = 0 ]; then "$DEV_DIR/tools.sh"; fi
