#!/usr/bin/env bash
# supervise.sh NAME INSTANCE_DIR COMMAND..: keeps one service running, as a kubelet would.
# A child that ends is started again after 0.2 s, doubling up to 5 s, and from 0.2 s once it has lived 10 s. TERM is
# passed on, and the child has 12 s to drain (the services cut streams at 10). pid/NAME.hold keeps it from being started.
# It must never outlive `make down`, and never start two children.
set -u
name=$1 inst=$2
shift 2
pidfile=$inst/pid/$name.pid log=$inst/log/$name.log
child='' nap='' stopping=0

note() { printf '%s supervisor: %s\n' "$(date -u +%FT%T.%3NZ)" "$*" >>"$log"; }
rest() { # an interruptible sleep
  sleep "$1" &
  nap=$!
  wait "$nap" 2>/dev/null
  kill "$nap" 2>/dev/null
  nap=''
}
on_term() {
  stopping=1
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null
  [ -z "$nap" ] || kill "$nap" 2>/dev/null
}
trap on_term TERM INT HUP
running() { [ -r "/proc/$child/stat" ] && ! grep -q ') [ZX] ' "/proc/$child/stat" 2>/dev/null; }

delay_ms=200
while [ "$stopping" = 0 ]; do
  if [ -e "$inst/pid/$name.hold" ]; then
    rest 0.1
    continue
  fi
  started=$SECONDS
  "$@" >>"$log" 2>&1 </dev/null &
  child=$!
  echo "$child" >"$pidfile.new" && mv "$pidfile.new" "$pidfile"
  [ "$stopping" = 0 ] || kill -TERM "$child" 2>/dev/null
  while [ "$stopping" = 0 ] && running; do wait "$child"; done # a signal ends wait early
  if [ "$stopping" = 1 ]; then
    for ((i = 0; i < 240; i++)); do
      running || break
      sleep 0.05
    done
    if running; then note "$name did not stop in 12 s: killed" && kill -KILL "$child" 2>/dev/null; fi
    break
  fi
  wait "$child" 2>/dev/null
  note "$name (pid $child) ended with status $?, again in $delay_ms ms"
  child=''
  [ $((SECONDS - started)) -lt 10 ] || delay_ms=200
  rest "$((delay_ms / 1000)).$(printf '%03d' $((delay_ms % 1000)))"
  delay_ms=$((delay_ms * 2 > 5000 ? 5000 : delay_ms * 2))
done
rm -f "$pidfile"
