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
  # An agent that was told to end closes what it serves; what it started for a moment ends by itself.
  while pids=$(used '*' | tr '\n' ' ') && [ -n "$pids" ] && [ "$tries" -lt 10 ]; do
    tries=$((tries + 1))
    sleep 1
  done
  [ -n "$pids" ] || return 0
  echo "godwit: these processes of it still run: ${pids% }" >&2
  echo "godwit: migrations that are under way end by themselves: see \`godwit migrations\`. An agent that was started by hand is to be stopped by hand." >&2
  return 1
}

case "${1:-}" in
  place) place ;;
  prune) prune ;;
  idle) idle ;;
  clear) rm -rf "$home/builds" ;;
  *) echo 'usage: place.sh place | prune | idle | clear' >&2; exit 2 ;;
esac
