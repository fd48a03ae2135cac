#!/bin/sh
# Removes the files that Godwit has made on this host: in /var/lib/godwit, /var/lib/godwit-controller and /etc/godwit only the
# names that Godwit itself makes. Mounts, files of running guests, files that a container may have written and every file of
# another (disks, passphrases, hooks) stay.
set -eu
config=/etc/godwit
remove() {
  for each in "$@"; do
    [ -e "$each" ] || [ -L "$each" ] || continue
    # --one-file-system does not see a mount of the same file system.
    while read -r _ _ _ _ at _; do
      case "$at" in "$each" | "$each"/*) continue 2 ;; esac
    done </proc/self/mountinfo
    rm -rf --one-file-system "$each" || true
  done
}
remove_idle_guest() { # DIRECTORY: stays where a process names it, or has a file in it open
  # The pattern comes by a pipe: on a command line grep would find itself.
  if printf '%s\n' "$state/guests/${1##*/}/" | grep -qsF -f - /proc/[0-9]*/cmdline; then return; fi
  if [ -n "$(find /proc/[0-9]*/fd -lname "$1/*" 2>/dev/null | head -n 1)" ]; then return; fi
  remove "$1"
}
remove_container() { # DIRECTORY: stays if a container that a migration brought may have written its files
  # `made` with a first process, an unfinished restore or a cold arrival: it is not abandoned (`isAbandonedCopy`).
  if grep -qs '"made":{' "$1/record.json" && grep -qsE '"(init|worker|cold)":' "$1/record.json"; then
    echo "godwit: $1 stays: a container that a migration brought may have written there, and no other host may have it" >&2
    return
  fi
  remove "$1"
}
for state in /var/lib/godwit /var/lib/godwit-controller; do
  if real=$(cd "$state" 2>/dev/null && pwd -P); then
    # A link is none of Godwit's own.
    if [ -d "$real/guests" ] && [ ! -L "$real/guests" ]; then
      for guest in "$real/guests"/*; do remove_idle_guest "$guest"; done
      rmdir "$real/guests" 2>/dev/null || true
    fi
    remove "$real/migrations" "$real/standbys" "$real/offered-standbys.json" "$real/offered-standbys.json.tmp" "$real/closed.json" "$real/closed.json.tmp" "$real/expected.json" "$real/expected.json.tmp" "$real/disk-moves" "$real/disk-moves-set-aside" "$real/migrations-set-aside" "$real/pki" "$real/cache" "$real/wire-shares" "$real/agent.sock"
    remove "$real/fleet.json" "$real"/fleet.json.*.tmp "$real/store.json" "$real/store.json.tmp"
    remove "$real/pruned-migrations" "$real/pruned-migrations.tmp" "$real/orders" "$real/guest-labels.json" "$real/guest-labels.json.tmp" "$real/guest-labels.log"
    remove "$real/guest-load.json" "$real/guest-load.json.tmp" "$real/receivers"
    # The link of a controller to the directory in memory that it has made.
    passwords=$(readlink "$real/manager-passwords" || true)
    case "${passwords##*/}" in godwit-managers-??????) remove "$passwords" ;; esac
    remove "$real/managers" "$real/manager-keys.json" "$real/manager-passwords" "$real/manager-passwords.tmp"
    remove "$real/controller.db" "$real/controller.db-wal" "$real/controller.db-shm" "$real/controller.sock"
    # What a container has mounted keeps its directory.
    [ -L "$real/containers" ] || for container in "$real/containers"/*; do remove_container "$container"; done
    rmdir "$real/containers" 2>/dev/null || true
    if [ -L "$state" ] || ! rmdir "$state" 2>/dev/null; then
      echo "godwit: $state stays, with what Godwit did not make, what is mounted and what guests use:" "$(ls -Aq "$real" | head -n 20 | tr '\n' ' ')" >&2
    fi
  fi
done
# Passphrases of disks, passwords, certificates and hooks in it are the operator's: a lost passphrase is a lost disk.
if real=$(cd "$config" 2>/dev/null && pwd -P); then
  remove "$real/agent.json" "$real/agent.json.txt" "$real/controller.json" "$real/relay.json" "$real/ca"
  if [ -L "$config" ] || ! rmdir "$config" 2>/dev/null; then
    echo "godwit: $config stays, with files that Godwit did not make:" "$(ls -Aq "$real" | head -n 20 | tr '\n' ' ')" >&2
  fi
fi
remove /var/cache/godwit
