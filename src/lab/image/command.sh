#!/bin/sh
# Answers each line with one line of JSON: stats, verify, hash, rate BYTES_PER_SECOND.
export PATH=/bin

stats() {
  read -r up _ </proc/uptime
  read -r boot </state/boot-id
  read -r bytes ms </state/dirtied
  read -r rate </state/rate
  read -r disk errors </state/disks
  commits=0 dberrors=0; [ ! -e /state/database ] || read -r commits dberrors </state/database
  ready=false; [ ! -e /state/ready ] || ready=true
  echo "{\"ready\":$ready,\"bootId\":\"$boot\",\"uptimeMs\":${up%.*}${up#*.}0,\"dirtiedBytes\":$bytes,\"dirtyingMs\":$ms,\"dirtyBytesPerSecond\":$rate,\"diskBytes\":$disk,\"diskErrors\":$errors,\"commits\":$commits,\"commitErrors\":$dberrors}"
}

hash() {
  read -r sum _ </state/static.md5
  echo "{\"hash\":\"$sum\"}"
}

# The dirty part stands still while it is read.
dirty_bad() {
  bad=0
  [ -e /ram/dirty ] && [ -e /state/chunk ] || return
  tries=0
  until [ -e /state/paused ] || [ "$tries" -ge 500 ]; do usleep 20000; tries=$((tries + 1)); done
  read -r chunk </state/chunk
  blocks=$((chunk / 65536))
  for file in /ram/ledger/*; do
    [ -e "$file" ] || continue
    read -r skip <"$file"
    index=${file##*/}
    want=$(dd if=/ram/pool bs=64k skip="$skip" iflag=skip_bytes count=$blocks 2>/dev/null | md5sum)
    have=$(dd if=/ram/dirty bs=64k skip=$((index * blocks)) count=$blocks 2>/dev/null | md5sum)
    [ "$want" = "$have" ] || bad=$((bad + 1))
  done
}

# As with memory; what is read comes from the disk and not from the page cache.
disks_bad() {
  diskbad=0 disks=0
  [ -d /ram/disks ] || return
  tries=0
  until [ -e /state/disks-paused ] || [ "$tries" -ge 500 ]; do usleep 20000; tries=$((tries + 1)); done
  for file in /ram/disks/vd*/slot*; do
    [ -e "$file" ] || continue
    read -r skip at count <"$file"
    name=${file#/ram/disks/} disks=$((disks + 1))
    want=$(dd if=/ram/pool bs=64k skip="$skip" iflag=skip_bytes,fullblock count="$count" 2>/dev/null | md5sum)
    have=$(dd if="/dev/${name%%/*}" bs=64k skip="$at" iflag=direct,fullblock count="$count" 2>/dev/null | md5sum)
    [ "$want" = "$have" ] || diskbad=$((diskbad + 1))
  done
  read -r _ errors </state/disks
  diskbad=$((diskbad + errors))
}

# The rows that were committed, read from the disk; nothing where the guest runs no database.
database_bad() {
  dbbad=0 database=
  [ -e /state/database ] || return
  tries=0
  until [ -e /state/db-paused ] || [ "$tries" -ge 1500 ]; do usleep 20000; tries=$((tries + 1)); done
  /bin/database check
  read -r commits rows dbbad sound </state/db.checked
  [ "$sound" = ok ] || dbbad=$((dbbad + 1))
  database=",\"database\":{\"commits\":$commits,\"rows\":$rows,\"badRows\":$dbbad,\"integrity\":\"$sound\"}"
}

verify() {
  mkdir /state/pause 2>/dev/null || { echo '{"error":"another verify is at work"}'; return; }
  good=true
  md5sum -c /state/pool.md5 /state/static.md5 >/dev/null 2>&1 || good=false
  dirty_bad
  disks_bad
  database_bad
  rmdir /state/pause
  [ "$bad" = 0 ] && [ "$diskbad" = 0 ] && [ "$dbbad" = 0 ] || good=false
  read -r sum _ </state/static.md5
  echo "{\"ok\":$good,\"hash\":\"$sum\",\"badChunks\":$bad,\"diskChunks\":$disks,\"badDiskChunks\":$diskbad$database}"
}

while read -r verb argument; do
  case "$verb" in
    stats) stats ;;
    hash) hash ;;
    verify) verify ;;
    rate)
      case "$argument" in
        '' | *[!0-9]*) echo '{"error":"rate takes bytes per second"}' ;;
        *) echo "$argument" >/state/rate.new && mv /state/rate.new /state/rate; stats ;;
      esac
      ;;
    *) echo '{"error":"unknown command"}' ;;
  esac
done
