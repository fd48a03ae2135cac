#!/bin/sh
# Installs Godwit from this folder, on a distribution without dpkg: the same files in the same places as the .deb.
#
#   ./install.sh              installs, or upgrades; guests and migrations go on
#   ./install.sh --remove     removes the program; refused while a migration is under way
#   ./install.sh --purge      the same, and what Godwit has kept on this host; guests run on
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
[ "$(id -u)" = 0 ] || { echo 'install.sh: only root may do that' >&2; exit 1; }
units='godwit-agent.service godwit-controller.service godwit-relay.service'
systemd() { [ ! -d /run/systemd/system ] || systemctl --quiet "$@"; }

put() {
  umask 022
  install -d -m 0755 /usr/lib/godwit
  # Files are replaced, not written over: what runs keeps its own.
  rm -rf /usr/lib/godwit/app
  # The folder's own modes are those of whoever unpacked it. Directories that are there keep theirs.
  (cd "$here/root" && tar --mode=u=rwX,go=rX -cf - .) | tar -C / -xf - --no-same-owner --no-overwrite-dir --keep-directory-symlink
  /usr/lib/godwit/place.sh place
  install -d -m 0755 /etc/godwit
  install -d -m 0711 /var/lib/godwit
  install -d -m 0700 /var/cache/godwit
  systemd daemon-reload
  # A unit without its configuration file does not start.
  for unit in $units; do
    systemd enable "$unit"
    systemd try-restart "$unit" || echo "install.sh: $unit did not start again: see journalctl -u $unit" >&2
  done
  /usr/lib/godwit/place.sh prune
  echo 'Installed. Next: godwit doctor'
}

removed() {
  for unit in $units; do systemd disable --now "$unit"; done
  /usr/lib/godwit/place.sh idle
  (cd "$here/root" && find . ! -type d) | while read -r file; do rm -f "/${file#./}"; done
  rm -rf /usr/lib/godwit /usr/share/doc/godwit
  systemd daemon-reload
}

case "${1:-}" in
  '') put ;;
  --remove) removed ;;
  --purge) removed; sh "$here/purge.sh" ;;
  *) echo 'usage: install.sh [--remove | --purge]' >&2; exit 2 ;;
esac
