#!/bin/sh
# Ends once the agent with the process id $MAINPID serves: it listens at its agent.sock. Exit status 1 where it ends before.
# The unit waits for it, so that `systemctl start` returns when the first command of a user finds the agent.
set -eu

listens() { # whether a socket of the process is one of those that listen as agent.sock
  sockets=$(find "/proc/$MAINPID/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null | tr -dc '0-9\n')
  # Of each: address, references, protocol, flags (0x10000: it listens), type, state, inode, path.
  while read -r _ _ _ flags _ _ inode where; do
    case "$flags $where" in
      '00010000 '*/agent.sock) printf '%s\n' "$sockets" | grep -qx "$inode" && return 0 ;;
    esac
  done </proc/net/unix
  return 1
}

while kill -0 "$MAINPID" 2>/dev/null; do
  if listens; then exit 0; fi
  sleep 0.2
done
echo 'godwit: the agent has ended before it served' >&2
exit 1
