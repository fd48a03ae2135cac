#!/bin/sh
# Puts the program that is unpacked in app/ into builds/BUILD, by hard links, and points `current` to it.
# Movers load parts of their program when they need them: one that works while the package is upgraded goes on with the
# files with which it began. A build that no process uses any more is removed.
#
#   place.sh place | prune | idle | clear
#
# idle: exit status 1, and says why, while a process uses any build. clear: removes all builds.
set -eu
home=$(cd "$(dirname "$0")" && pwd -P)

used() { # BUILD: prints the numbers of the processes that run its Node
  find /proc/[0-9]*/exe -maxdepth 0 -lname "$home/builds/$1/*" 2>/dev/null | cut -d/ -f3
}

named() { # PID...: each with the program that it runs, such as `mover 812`
  for pid in "$@"; do
    program=$(tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | sed -n 's|.*/dist/bin/\([a-z-]*\)\.js$|\1|p' | head -n 1)
    printf '%s %s, ' "${program:-godwit}" "$pid"
  done
}

place() {
  build=$(cat "$home/app/BUILD")
  mkdir -p "$home/builds"
  if [ ! -d "$home/builds/$build" ]; then
    rm -rf "$home/builds/.new"
    cp -al "$home/app" "$home/builds/.new"
    mv "$home/builds/.new" "$home/builds/$build"
  fi
  ln -sfn "builds/$build" "$home/current.new"
  mv -fT "$home/current.new" "$home/current"
}

prune() {
  [ -d "$home/builds" ] || return 0
  for each in "$home/builds"/*; do
    build=${each##*/}
    [ "$(readlink "$home/current")" = "builds/$build" ] || [ -n "$(used "$build")" ] || rm -rf "$each"
  done
}

idle() {
  tries=0
  # A service that was told to end closes its connections; its short-lived processes end by themselves.
  while pids=$(used '*' | tr '\n' ' ') && [ -n "$pids" ] && [ "$tries" -lt 10 ]; do
    tries=$((tries + 1))
    sleep 1
  done
  [ -n "$pids" ] || return 0
  # shellcheck disable=SC2086 # several numbers
  programs=$(named $pids)
  echo "godwit: these processes of it still run: ${programs%, }" >&2
  echo "godwit: movers end with their migrations: see \`godwit migrations\`. Stop by hand what was started by hand." >&2
  return 1
}

case "${1:-}" in
  place) place ;;
  prune) prune ;;
  idle) idle ;;
  clear) rm -rf "$home/builds" ;;
  *) echo 'usage: place.sh place | prune | idle | clear' >&2; exit 2 ;;
esac
