#!/bin/sh
# Ends once the process $MAINPID listens at its socket: SOCKET (`serves.sh controller.sock`), by default agent.sock. Exit
# status 1 if the process ends before.
# The unit waits for it, so that `systemctl start` returns when the first command of a user finds the agent.
set -eu
socket=${1:-agent.sock}

listens() { # whether a socket of the process listens under that name
  sockets=$(find "/proc/$MAINPID/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null | tr -dc '0-9\n')
  # Of each: address, references, protocol, flags (0x10000: it listens), type, state, inode, path.
  while read -r _ _ _ flags _ _ inode where; do
    case "$flags $where" in
      '00010000 '*/"$socket") printf '%s\n' "$sockets" | grep -qx "$inode" && return 0 ;;
    esac
  done </proc/net/unix
  return 1
}

while kill -0 "$MAINPID" 2>/dev/null; do
  if listens; then exit 0; fi
  sleep 0.2
done
echo "godwit: the process of $socket ended before it served" >&2
exit 1
