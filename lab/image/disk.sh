#!/bin/sh
# Writes to each disk of the guest but $2, past its page cache, in $1 places spread over it: 64 KiB at a time, or larger
# pieces at a rate of $3 bytes/s for each disk (0 rests). What was written where is kept in /ram/disks, so that `verify`
# can read the disks again and compare.
export PATH=/bin
now() { read -r up _ </proc/uptime; now=${up%.*}${up#*.}0; }

SLOTS=$1 rate=$3 blocks=1
if [ -n "$rate" ]; then
  # Five turns a second, from 64 KiB to 4 MiB each: starting a program costs more than the writing.
  blocks=$((rate / 5 / 65536))
  [ "$blocks" -ge 1 ] || blocks=1
  [ "$blocks" -le 64 ] || blocks=64
fi
mkdir -p /ram/disks
while read -r _ _ size name; do
  [ "$name" != "$2" ] || continue
  case "$name" in vd*) mkdir "/ram/disks/$name" && echo $((size / 64 / SLOTS)) >"/ram/disks/$name/stride" ;; esac
done </proc/partitions

seed=4242 turn=0 total=0 errors=0
now; base=$now written=0
while :; do
  if [ -d /state/pause ]; then
    : >/state/disks-paused
    while [ -d /state/pause ]; do usleep 10000; done
    rm -f /state/disks-paused
    now; base=$now written=0
  fi
  if [ "$rate" = 0 ]; then usleep 50000; continue; fi
  slot=$((turn % SLOTS)) turn=$((turn + 1))
  for dir in /ram/disks/vd*; do
    read -r stride <"$dir/stride"
    # A piece must not reach into the next place.
    count=$blocks; [ "$count" -le "$stride" ] || count=$stride
    [ "$count" -ge 1 ] || count=1
    seed=$(((seed * 1103515245 + 12345) & 2147483647))
    skip=$((seed % (8388608 - count * 65536)))
    if dd if=/ram/pool of="/dev/${dir##*/}" bs=64k skip=$skip iflag=skip_bytes,fullblock seek=$((slot * stride)) count=$count conv=notrunc oflag=direct 2>/dev/null; then
      echo "$skip $((slot * stride)) $count" >"$dir/slot$slot"
      total=$((total + count * 65536))
    else
      errors=$((errors + 1))
    fi
  done
  echo "$total $errors" >/state/disks.new && mv /state/disks.new /state/disks
  if [ -z "$rate" ]; then usleep 50000; continue; fi
  written=$((written + blocks * 65536))
  now
  wait=$((base + written * 1000 / rate - now))
  if [ "$wait" -gt 0 ]; then
    usleep "${wait}000"
  elif [ "$wait" -lt -500 ]; then
    # As with memory: what could not be written in time is not made up for.
    base=$now written=0
  fi
done
