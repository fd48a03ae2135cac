#!/bin/sh
# Writes to each disk of the guest, past its page cache, 64 KiB at a time in $SLOTS places spread over it. What was
# written where is kept in /ram/disks, so that `verify` can read the disks again and compare.
export PATH=/bin
SLOTS=48
seed=4242 turn=0 total=0 errors=0
mkdir -p /ram/disks
while read -r _ _ blocks name; do
  case "$name" in vd*) mkdir "/ram/disks/$name" && echo $((blocks / 64 / SLOTS)) >"/ram/disks/$name/stride" ;; esac
done </proc/partitions
while :; do
  if [ -d /state/pause ]; then
    : >/state/disks-paused
    while [ -d /state/pause ]; do usleep 10000; done
    rm -f /state/disks-paused
  fi
  slot=$((turn % SLOTS)) turn=$((turn + 1))
  for dir in /ram/disks/vd*; do
    read -r stride <"$dir/stride"
    seed=$(((seed * 1103515245 + 12345) & 2147483647))
    skip=$((seed % 8000000))
    if dd if=/ram/pool of="/dev/${dir##*/}" bs=64k skip=$skip iflag=skip_bytes,fullblock seek=$((slot * stride)) count=1 conv=notrunc oflag=direct 2>/dev/null; then
      echo "$skip $((slot * stride))" >"$dir/slot$slot"
      total=$((total + 65536))
    else
      errors=$((errors + 1))
    fi
  done
  echo "$total $errors" >/state/disks.new && mv /state/disks.new /state/disks
  usleep 50000
done
