#!/bin/sh
# Keeps the processor busy for /state/busy percent of the time (0 rests): a piece of work, and a rest that is as long as
# those percent want it beside the shortest time that the piece ever took. Where others have the processor, the piece
# takes longer and the rest does not: so the guest asks for more than it gets, and no more once it gets that.
export PATH=/bin
now() { read -r up _ </proc/uptime; now=${up%.*}${up#*.}0; }
work() { turn=0; while [ "$turn" -lt "$1" ]; do turn=$((turn + 1)); done; }

count=1000 least=''
while :; do
  read -r percent </state/busy
  if [ "$percent" = 0 ]; then sleep 1; continue; fi
  now; begun=$now
  work "$count"
  now; took=$((now - begun))
  # The clock has steps of 10 ms.
  if [ -z "$least" ] && [ "$took" -lt 200 ]; then count=$((count * 2)); continue; fi
  if [ -z "$least" ] || [ "$took" -lt "$least" ]; then least=$took; fi
  usleep "$((least * (100 - percent) / percent))000"
done
