# shellcheck shell=bash disable=SC2034
# Shared by every script of this directory: where things are, how to say things, how to run and stop processes.
# Sourced, never run. It must never start, stop or change anything by being sourced.
set -euo pipefail
umask 077
export LC_ALL=C.UTF-8
shopt -u patsub_replacement 2>/dev/null || true

DEV_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
ROOT=$(cd "$DEV_DIR/../.." && pwd -P)
RUN=$ROOT/.run
RMQ_BIN=/usr/lib/rabbitmq/bin
# The account the servers drop to when we are root: PostgreSQL refuses root, and the other two have no need of it.
STACK_USER=tenantry-dev
OPERATOR_EMAIL=operator@tenantry.localhost
# The order is the start order; stopping goes backwards.
SERVICES=(registry auth business backup monitoring gateway)

say() { printf '%s\n' "$*"; }
step() { if [ -t 1 ]; then printf '\033[1m==>\033[0m %s\n' "$*"; else printf '==> %s\n' "$*"; fi; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
is_root() { [ "$(id -u)" = 0 ]; }

# --- options: the same few everywhere; what is not an option stays in ARGS
parse_options() {
  INSTANCE=${TENANTRY_INSTANCE:-dev} PORT_BASE='' PROFILE='' FSYNC='' EXAMPLES='' KEEP_DATA=0 NO_BUILD=0 ARGS=()
  while [ $# -gt 0 ]; do
    case $1 in
      --instance) INSTANCE=${2:?--instance needs a name} && shift 2 ;;
      --port-base) PORT_BASE=${2:?--port-base needs a number} && shift 2 ;;
      --profile) PROFILE=${2:?--profile needs debug or release} && shift 2 ;;
      --fsync) FSYNC=${2:?--fsync needs on or off} && shift 2 ;;
      --no-examples) EXAMPLES=0 && shift ;;
      --keep-data) KEEP_DATA=1 && shift ;;
      --no-build) NO_BUILD=1 && shift ;;
      --*) die "unknown option $1 (known: --instance --port-base --profile --fsync --no-examples --keep-data --no-build)" ;;
      *) ARGS+=("$1") && shift ;;
    esac
  done
  [[ $INSTANCE =~ ^[a-z][a-z0-9-]{0,19}$ ]] || die "instance name '$INSTANCE': use 1-20 of a-z 0-9 -, a letter first"
  case $PROFILE in '' | debug | release) ;; *) die "--profile is debug or release" ;; esac
  case $FSYNC in '' | on | off) ;; *) die "--fsync is on or off" ;; esac
}

# --- an instance: its directories and ports. What it was created with wins over defaults.
load_instance() {
  local hash asked=$PORT_BASE
  hash=$(printf '%s' "$ROOT" | sha256sum | cut -c1-12)
  INST=$RUN/$INSTANCE
  # Outside the checkout: as root the servers run as a user that may not enter a 0700 home, and a socket path over 107 bytes fails.
  STATE=/var/tmp/tenantry-$hash-$INSTANCE
  if [ -r "$INST/instance.env" ]; then
    local k v
    while IFS='=' read -r k v; do
      case $k in
        port_base) PORT_BASE=$v ;;
        profile) PROFILE=${PROFILE:-$v} ;;
        fsync) FSYNC=${FSYNC:-$v} ;;
        examples) EXAMPLES=${EXAMPLES:-$v} ;;
        *) ;;
      esac
    done <"$INST/instance.env"
    if [ -n "$asked" ] && [ "$asked" != "$PORT_BASE" ]; then
      die "instance '$INSTANCE' exists on port base $PORT_BASE, not $asked: 'make down' first, or give another instance name"
    fi
  fi
  PORT_BASE=${PORT_BASE:-${TENANTRY_PORT_BASE:-8080}} PROFILE=${PROFILE:-debug} FSYNC=${FSYNC:-on} EXAMPLES=${EXAMPLES:-1}
  [[ $PORT_BASE =~ ^[0-9]{4,5}$ ]] && [ "$PORT_BASE" -ge 1024 ] && [ "$PORT_BASE" -le 65000 ] ||
    die "port base '$PORT_BASE': use 1024 to 65000 (TENANTRY_PORT_BASE)"
  set_ports
}

set_ports() {
  local b=$PORT_BASE
  declare -gA PORT=([gateway]=$b [gateway_admin]=$((b + 7)) [registry]=$((b + 1)) [registry_admin]=$((b + 2))
    [auth]=$((b + 3)) [auth_admin]=$((b + 4)) [business]=$((b + 5)) [business_admin]=$((b + 6))
    [backup]=$((b + 8)) [backup_admin]=$((b + 9)) [monitoring]=$((b + 10)) [monitoring_admin]=$((b + 11))
    [postgres]=$((b + 20)) [redis]=$((b + 21)) [amqp]=$((b + 22)) [erlang_dist]=$((b + 23)) [epmd]=$((b + 24))
    [rabbit_mgmt]=$((b + 25)) [rabbit_prometheus]=$((b + 26)))
}

# Directories of ours, and a state directory that is really ours: /var/tmp is open to everybody.
create_instance() {
  mkdir -p "$INST"/{secrets,config,log,pid}
  if [ -e "$STATE" ] || [ -L "$STATE" ]; then
    local owner want
    owner=$(stat -c %U "$STATE") want=$(id -un)
    is_root && want=$STACK_USER
    [ -d "$STATE" ] && [ ! -L "$STATE" ] && [ "$owner" = "$want" ] || die "$STATE exists and belongs to '$owner', not to '$want': remove it"
  else
    mkdir -m 700 "$STATE"
    ! is_root || chown "$STACK_USER:$STACK_USER" "$STATE"
  fi
  ln -sfn "$STATE" "$INST/state"
  save_instance
}

save_instance() {
  printf 'port_base=%s\nprofile=%s\nfsync=%s\nexamples=%s\n' "$PORT_BASE" "$PROFILE" "$FSYNC" "$EXAMPLES" >"$INST/instance.env"
}

# One writer per instance; the lock is held by a wrapping flock so that no server inherits the descriptor.
with_lock() {
  [ "${TENANTRY_LOCKED:-}" = "$INSTANCE" ] && return 0
  mkdir -p "$RUN"
  TENANTRY_LOCKED=$INSTANCE exec flock --close --wait 900 "$RUN/$INSTANCE.lock" "$0" "$@"
}

# --- secrets: random per instance, hexadecimal so that they need no quoting in a URL, SQL or a shell
secret() { cat "$INST/secrets/$1"; }
make_secret() { [ -s "$INST/secrets/$1" ] || (openssl rand -hex "${2:-24}" >"$INST/secrets/$1.new" && mv "$INST/secrets/$1.new" "$INST/secrets/$1"); }

all_secrets() {
  local s
  for s in pg_postgres pg_tenantry_{ddl,registry,registry_sys,auth,auth_sys,business,business_sys,backup,backup_sys,monitoring,monitoring_sys} \
    redis_{admin,gateway,registry,auth,business,backup,monitoring} amqp_{admin,gateway,registry,auth,business,backup,monitoring} \
    service_{gateway,registry,auth,business,backup,monitoring}; do
    make_secret "$s"
  done
  make_secret operator_password 10
  [ -s "$INST/secrets/backup_signing_key" ] || openssl rand -base64 32 >"$INST/secrets/backup_signing_key" # signs manifests of snapshots
  [ -s "$INST/secrets/root_key" ] || openssl rand -base64 32 >"$INST/secrets/root_key" # wraps every tenant's keys
}

# --- processes. PID 1 of a container may reap late, so kill -0 sees zombies: read /proc.
pid_runs() { [ -n "${1:-}" ] && [ -r "/proc/$1/stat" ] && ! grep -q ') [ZX] ' "/proc/$1/stat" 2>/dev/null; }
file_pid() { [ -s "$1" ] && head -n1 "$1" 2>/dev/null || true; }
# Running, and still the process that was started: a pid is reused sooner or later, so its command line must name WORD.
alive() {
  local p
  p=$(file_pid "$1")
  pid_runs "$p" && { [ -z "${2:-}" ] || tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -qF -- "$2"; }
}
await() { # await SECONDS command...
  local i n=$(($1 * 20))
  shift
  for ((i = 0; i < n; i++)); do
    "$@" && return 0
    sleep 0.05
  done
  return 1
}
gone() { ! pid_runs "$1"; }
# stop_pid PIDFILE WORD SIGNAL SECONDS: ask, wait, then insist.
stop_pid() {
  local p
  if alive "$1" "$2"; then
    p=$(file_pid "$1")
    kill "-$3" "$p" 2>/dev/null || true
    await "$4" gone "$p" || { warn "$(basename "$1" .pid) did not stop in $4 s: killed" && kill -KILL "$p" 2>/dev/null || true; }
    await 5 gone "$p" || die "process $p of $(basename "$1" .pid) does not go away"
  fi
  rm -f "$1"
}
port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# as COMMAND..: run as the servers' user; bg_as is for background jobs: it execs, so that $! is the server and not a shell.
as() {
  if is_root; then
    setpriv --reuid="$STACK_USER" --regid="$STACK_USER" --clear-groups --inh-caps=-all env -C "$STATE" HOME="$STATE" "$@"
  else env -C "$STATE" HOME="$STATE" "$@"; fi
}
bg_as() {
  if is_root; then
    exec setpriv --reuid="$STACK_USER" --regid="$STACK_USER" --clear-groups --inh-caps=-all env -C "$STATE" HOME="$STATE" "$@"
  else exec env -C "$STATE" HOME="$STATE" "$@"; fi
}

# --- Rust: the one thing that install.sh does not bring, because distributions' compilers are too old. Asked before anything else is done.
need_rust() {
  local want have how="install it for this user by rustup (https://rustup.rs), then open a new shell"
  want=$(sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' "$ROOT/Cargo.toml")
  [ -z "${SUDO_USER:-}" ] || how="$how; under sudo the PATH is root's: run this as yourself, it says which command needs root"
  command -v cargo >/dev/null 2>&1 || die "Rust $want or later is needed, and no cargo is in PATH: $how"
  have=$(rustc --version 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n1) || true
  [ -n "$have" ] || die "Rust $want or later is needed, and 'rustc --version' fails here: $how"
  [ "$(printf '%s\n' "$want" "$have" | sort -V | head -n1)" = "$want" ] || die "Rust $want or later is needed, and this is $have: 'rustup update', or $how"
}

# --- PostgreSQL: the oldest release that has every fix we rely on, per major; the newest that fits is used.
pg_floor() { case $1 in 15) echo 19 ;; 16) echo 15 ;; 17) echo 11 ;; 18) echo 6 ;; *) [ "$1" -gt 18 ] && echo 0 || echo 999 ;; esac; }
pg_find() {
  local d v major minor
  PG_BIN='' PG_SEEN=''
  for d in /usr/lib/postgresql/*/bin; do
    [ -x "$d/postgres" ] && [ -x "$d/initdb" ] && [ -x "$d/psql" ] || continue
    v=$("$d/postgres" --version | grep -oE '[0-9]+\.[0-9]+' | head -n1)
    major=${v%%.*} minor=${v##*.} PG_SEEN="$PG_SEEN $v"
    if [ "$minor" -ge "$(pg_floor "$major")" ]; then PG_BIN=$d; fi
  done
  [ -n "$PG_BIN" ]
}
