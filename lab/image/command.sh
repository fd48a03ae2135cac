#!/bin/sh
# Answers each line with one line of JSON: stats, verify, hash, rate BYTES_PER_SECOND, busy PERCENT, variable NAME [VALUE],
# tpm HEX, fill KIB.
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

# The dirty part stands still while it is read. All of it at once: a program for each piece takes an emulated guest
# long, and is worth it only to count what differs.
dirty_bad() {
  bad=0
  [ -e /ram/dirty ] && [ -e /state/chunk ] || return
  tries=0
  until [ -e /state/paused ] || [ "$tries" -ge 500 ]; do usleep 20000; tries=$((tries + 1)); done
  read -r chunk </state/chunk
  blocks=$((chunk / 65536)) count=0
  while [ -e "/ram/ledger/$count" ]; do count=$((count + 1)); done
  want=$(index=0; while [ "$index" -lt "$count" ]; do dirty_wanted "$index"; index=$((index + 1)); done | md5sum)
  have=$(dd if=/ram/dirty bs=64k count=$((count * blocks)) 2>/dev/null | md5sum)
  [ "$want" != "$have" ] || return
  index=0
  while [ "$index" -lt "$count" ]; do
    want=$(dirty_wanted "$index" | md5sum)
    have=$(dd if=/ram/dirty bs=64k skip=$((index * blocks)) count=$blocks 2>/dev/null | md5sum)
    [ "$want" = "$have" ] || bad=$((bad + 1))
    index=$((index + 1))
  done
}

dirty_wanted() {
  read -r skip <"/ram/ledger/$1"
  dd if=/ram/pool bs=64k skip="$skip" iflag=skip_bytes count=$blocks 2>/dev/null
}

# As with memory; what is read comes from the disk and not from the page cache.
disks_bad() {
  diskbad=0 disks=0
  [ -d /ram/disks ] || return
  tries=0
  until [ -e /state/disks-paused ] || [ "$tries" -ge 500 ]; do usleep 20000; tries=$((tries + 1)); done
  for file in /ram/disks/vd*/slot*; do
    [ ! -e "$file" ] || disks=$((disks + 1))
  done
  want=$(for file in /ram/disks/vd*/slot*; do disk_wanted "$file"; done | md5sum)
  have=$(for file in /ram/disks/vd*/slot*; do disk_had "$file"; done | md5sum)
  if [ "$want" != "$have" ]; then
    for file in /ram/disks/vd*/slot*; do
      want=$(disk_wanted "$file" | md5sum)
      have=$(disk_had "$file" | md5sum)
      [ "$want" = "$have" ] || diskbad=$((diskbad + 1))
    done
  fi
  read -r _ errors </state/disks
  diskbad=$((diskbad + errors))
}

disk_wanted() {
  [ -e "$1" ] || return
  read -r skip at count <"$1"
  dd if=/ram/pool bs=64k skip="$skip" iflag=skip_bytes,fullblock count="$count" 2>/dev/null
}

disk_had() {
  [ -e "$1" ] || return
  read -r skip at count <"$1"
  name=${1#/ram/disks/}
  dd if="/dev/${name%%/*}" bs=64k skip="$at" iflag=direct,fullblock count="$count" 2>/dev/null
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

# A variable of the firmware: made, where a value is given, and read. Its first four bytes are attributes: kept, and for all.
variable() {
  case "$(cat /proc/mounts)" in *" /efi efivarfs "*) ;; *) echo '{"error":"its firmware has no variables"}'; return ;; esac
  file=/efi/$1-3f5b6c1e-8d0a-4b7e-9a2c-6f1d2e3a4b5c
  [ -z "$2" ] || printf '\007\000\000\000%s' "$2" >"$file" || { echo '{"error":"the firmware does not take it"}'; return; }
  value=$(dd if="$file" bs=4 skip=1 2>/dev/null)
  echo "{\"value\":\"$value\"}"
}

# One command of its TPM, whole, and what that answers, both in hexadecimal.
tpm() {
  [ -e /dev/tpm0 ] || { echo '{"error":"it has no TPM"}'; return; }
  exec 3<>/dev/tpm0
  printf "$(echo "$1" | busybox sed 's/../\\x&/g')" >&3
  answer=$(dd bs=4096 count=1 <&3 2>/dev/null | busybox od -An -v -tx1 | tr -d ' \n')
  exec 3>&-
  echo "{\"answer\":\"$answer\"}"
}

# Fills its memory as use does: its page cache with what its disks hold, and $1 KiB with what is written and given back.
# The page cache of a disk ends with the last program that has it open, so one that only sleeps keeps it open.
fill() {
  for disk in /dev/vd?; do
    [ -e "$disk" ] || continue
    held=/state/held-${disk#/dev/}
    [ -e "$held" ] || { sleep 99999999 <"$disk" >/dev/null 2>&1 & : >"$held"; }
    dd if="$disk" of=/dev/null bs=1M 2>/dev/null
  done
  done=0
  : >/ram/given-back
  while [ "$done" -lt "$1" ]; do
    part=$(($1 - done)); [ "$part" -le 4096 ] || part=4096
    dd if=/ram/pool bs=64k skip=$((done / 4096 * 41777 % 4193000 + 3)) iflag=skip_bytes,count_bytes count=$((part * 1024)) >>/ram/given-back 2>/dev/null
    done=$((done + part))
  done
  rm /ram/given-back
  while read -r what kib _; do
    case "$what" in MemFree:) free=$kib ;; MemAvailable:) available=$kib ;; Buffers:) buffers=$kib ;; esac
  done </proc/meminfo
  echo "{\"freeBytes\":$((free * 1024)),\"availableBytes\":$((available * 1024)),\"cachedBytes\":$((buffers * 1024))}"
}

# For so many percent of the time; the program that does it stays from the first time on.
busy() {
  first=; [ -e /state/busy ] || first=yes
  echo "$1" >/state/busy.new && mv /state/busy.new /state/busy
  [ -z "$first" ] || /bin/busy </dev/null >/dev/null 2>&1 &
}

while read -r verb argument; do
  case "$verb" in
    fill)
      case "$argument" in
        '' | *[!0-9]*) echo '{"error":"fill takes KiB"}' ;;
        *) fill "$argument" ;;
      esac
      ;;
    stats) stats ;;
    hash) hash ;;
    variable)
      case "$argument" in
        '' | *[!A-Za-z0-9\ ]*) echo '{"error":"variable takes a name and a value of letters and digits"}' ;;
        *) variable $argument ;;
      esac
      ;;
    tpm)
      case "$argument" in
        '' | *[!0-9a-f]*) echo '{"error":"tpm takes the bytes of a command in hexadecimal"}' ;;
        *) tpm "$argument" ;;
      esac
      ;;
    verify) verify ;;
    rate)
      case "$argument" in
        '' | *[!0-9]*) echo '{"error":"rate takes bytes per second"}' ;;
        *) echo "$argument" >/state/rate.new && mv /state/rate.new /state/rate; stats ;;
      esac
      ;;
    busy)
      case "$argument" in
        [0-9] | [1-9][0-9] | 100) busy "$argument"; stats ;;
        *) echo '{"error":"busy takes percent"}' ;;
      esac
      ;;
    *) echo '{"error":"unknown command"}' ;;
  esac
done
