#!/bin/sh
# Removes what Godwit has kept on this host. Guests run on: they need none of it. Disks are never removed: where a storage of
# the configuration lies below /var/lib/godwit, that directory stays whole.
set -eu
if [ -f /etc/godwit/agent.json ] && tr -d ' \n\t' </etc/godwit/agent.json | grep -q '"path":"/var/lib/godwit/'; then
  echo 'godwit: /var/lib/godwit stays, since guests have their disks below it' >&2
else
  rm -rf /var/lib/godwit
fi
rm -rf /etc/godwit /var/cache/godwit
