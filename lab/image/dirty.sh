#!/bin/sh
# Rewrites /ram/dirty ($1 KiB) round and round at the rate in /state/rate (bytes/s; 0 rests). What was
# written where is kept in /ram/ledger, so that `verify` can tell whether it is still there.
export PATH=/bin
now() { read -r up _ </proc/uptime; now=${up%.*}${up#*.}0; }

rate=$(cat /state/rate)
# Five steps a second, from 64 KiB to 4 MiB each: starting a program costs memory writes too.
blocks=$((rate / 5 / 65536))
[ "$blocks" -ge 1 ] || blocks=1
[ "$blocks" -le 64 ] || blocks=64
chunk=$((blocks * 65536))
chunks=$(($1 * 1024 / chunk))
[ "$chunks" -ge 1 ] || chunks=1
echo "$chunk" >/state/chunk

seed=12345 index=0 total=0
now; start=$now base=$now written=0 current=$rate
while :; do
  if [ -d /state/pause ]; then
    now; paused=$now
    : >/state/paused
    while [ -d /state/pause ]; do usleep 10000; done
    rm -f /state/paused
    now; base=$now written=0 start=$((start + now - paused))
  fi
  read -r rate </state/rate
  if [ "$rate" != "$current" ]; then now; base=$now written=0 current=$rate; fi
  if [ "$rate" = 0 ]; then usleep 50000; continue; fi
  seed=$(((seed * 1103515245 + 12345) & 2147483647))
  skip=$((seed % (8388608 - chunk)))
  dd if=/ram/pool of=/ram/dirty bs=64k skip=$skip iflag=skip_bytes seek=$((index * blocks)) count=$blocks conv=notrunc 2>/dev/null
  echo "$skip" >/ram/ledger/$index
  index=$(((index + 1) % chunks)) total=$((total + chunk)) written=$((written + chunk))
  now
  echo "$total $((now - start))" >/state/dirtied.new && mv /state/dirtied.new /state/dirtied
  wait=$((base + written * 1000 / rate - now))
  if [ "$wait" -gt 0 ]; then
    usleep "${wait}000"
  elif [ "$wait" -lt -500 ]; then
    # A guest that was paused does not make up for it: the rate is a rate, not an average.
    base=$now written=0
  fi
done
