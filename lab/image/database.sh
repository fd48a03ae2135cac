#!/bin/sh
# SQLite on the file system of the guest's first disk: one transaction after the other, each synced before it counts.
# The table keeps the last $ROWS rows; what a row holds follows from its number and from what this guest has in memory,
# so that `verify` knows each row that must be there. With `check`: reads all of it again, and says how much is right.
export PATH=/bin LD_LIBRARY_PATH=/lib
ROWS=4096 FILE=/db/load.db
read -r seed </state/boot-id

# What a row with the number in $1 holds: 1 KiB that no other row has.
body() { body="replace(hex(zeroblob(8)), '00', hex(sha3('$seed:' || $1, 512)))"; }

if [ "$1" = check ]; then
  read -r commits errors </state/database
  rows=$commits; [ "$rows" -le "$ROWS" ] || rows=$ROWS
  # From the disk, and not from the page cache.
  sync; echo 3 >/proc/sys/vm/drop_caches
  body id
  sqlite3 -batch -bail -noheader -list "$FILE" >/state/db.check 2>&1 <<END
SELECT count(*) FROM ring WHERE id > $((commits - rows)) AND id <= $commits AND slot = id % $ROWS AND body = $body AND sum = hex(sha3(id || body));
SELECT count(*) FROM ring;
PRAGMA integrity_check(1);
END
  good=0 all=0 sound=
  { read -r good; read -r all; read -r sound; } </state/db.check
  case "$good$all" in *[!0-9]*) sound="$good $all $sound" good=0 all=0 ;; esac
  bad=$((rows - good)); [ "$all" -le "$rows" ] || bad=$((bad + all - rows))
  bad=$((bad + errors))
  sound=$(echo "$sound" | tr -d '"\\\\')
  echo "$commits $rows $bad $sound" >/state/db.checked
  exit
fi

mkdir -p /db
mount -t ext4 -o noatime /dev/vda /db || { echo 'godwit: no ext4 file system could be mounted from the first disk'; exit 1; }
mkfifo /state/db.in /state/db.out
sqlite3 -batch -bail -noheader -list "$FILE" </state/db.in >/dev/null 2>/state/db.log &
server=$!
exec 3>/state/db.in 4<>/state/db.out

# SQLite keeps what it says to itself until its output is another. One that has ended is waited for no longer.
answer() {
  said=
  until read -r -t 5 said <&4; do
    kill -0 "$server" 2>/dev/null || return 1
  done
}

echo 'PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS ring (slot INTEGER PRIMARY KEY, id INTEGER NOT NULL, body TEXT NOT NULL, sum TEXT NOT NULL);
.output /state/db.out
SELECT count(*) FROM ring;
.output' >&3
answer && [ "$said" = 0 ] || { echo "godwit: no database: $said $(cat /state/db.log)"; exit 1; }
echo '0 0' >/state/database

n=0 errors=0
while :; do
  if [ -d /state/pause ]; then
    : >/state/db-paused
    while [ -d /state/pause ]; do usleep 10000; done
    rm -f /state/db-paused
  fi
  if [ "$errors" -gt 0 ]; then usleep 100000; continue; fi
  next=$((n + 1))
  body "$next"
  echo "BEGIN IMMEDIATE;
INSERT OR REPLACE INTO ring SELECT $((next % ROWS)), $next, body, hex(sha3($next || body)) FROM (SELECT $body AS body);
COMMIT;
.output /state/db.out
SELECT id FROM ring WHERE id = $next;
.output" >&3
  if answer && [ "$said" = "$next" ]; then
    n=$next
  else
    errors=$((errors + 1))
    echo "godwit: transaction $next failed: $said $(cat /state/db.log)"
  fi
  echo "$n $errors" >/state/database.new && mv /state/database.new /state/database
  usleep 20000
done
