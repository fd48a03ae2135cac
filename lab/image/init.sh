#!/bin/sh
# PID 1 of the lab's guest: network, a checksummed working set in memory, a loop that dirties a part
# of it at a set rate, a counter server and a command server. What it should be comes as godwit.*
# words on the kernel's command line; sizes are in KiB, the rate in bytes/s.
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev 2>/dev/null
echo 'godwit: boot'
for module in $(cat /modules/order); do insmod "/modules/$module" 2>/dev/null; done

static=0 dirty=0 rate=0 disks=0 diskslots=48 diskrate='' load='' ip='' flood=''
for word in $(cat /proc/cmdline); do
  case "$word" in
    godwit.ip=*) ip=${word#*=} ;;
    godwit.static=*) static=${word#*=} ;;
    godwit.dirty=*) dirty=${word#*=} ;;
    godwit.rate=*) rate=${word#*=} ;;
    godwit.disks=*) disks=${word#*=} ;;
    godwit.diskslots=*) diskslots=${word#*=} ;;
    godwit.load=*) load=${word#*=} ;;
    godwit.flood=*) flood=${word#*=} ;;
    godwit.diskrate=*) diskrate=${word#*=} ;;
  esac
done

# Variables of its firmware, where that is UEFI.
mkdir /efi
mount -t efivarfs efivarfs /efi 2>/dev/null

ip link set lo up
# Says at once where it is: switch and client may know an earlier guest of that name on another host.
echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_notify
ip addr add "$ip" dev eth0 && ip link set eth0 up || echo 'godwit: no network device'
echo 0 >/proc/sys/net/ipv4/tcp_slow_start_after_idle

mkdir -p /ram /state /sys
mount -t sysfs sysfs /sys 2>/dev/null
mount -t tmpfs -o size=95%,mode=0700 ram /ram
mkdir /ram/ledger
cat /proc/sys/kernel/random/boot_id >/state/boot-id
echo "$rate" >/state/rate
echo '0 0' >/state/dirtied
echo '0 0' >/state/disks

nc -ll -p 7001 -e /bin/counter &
nc -ll -p 7002 -e /bin/command &

# Random bytes are slow to make, so the working set is cut out of a pool of them at odd places: each
# page is like no other, and none is like any page of the pool.
dd if=/dev/urandom of=/ram/pool bs=64k count=128 2>/dev/null
md5sum /ram/pool >/state/pool.md5
: >/ram/static
done=0
while [ "$done" -lt "$static" ]; do
  part=$((static - done)); [ "$part" -le 4096 ] || part=4096
  dd if=/ram/pool bs=64k skip=$((done / 4096 * 57331 % 4193000 + 1)) iflag=skip_bytes,count_bytes count=$((part * 1024)) >>/ram/static 2>/dev/null
  done=$((done + part))
done
md5sum /ram/static >/state/static.md5

if [ "$dirty" -gt 0 ]; then
  # Pages that are there before the first migration, as in a guest that has run for a while.
  dd if=/ram/pool of=/ram/dirty bs=64k skip=17 iflag=skip_bytes count=1 2>/dev/null
  /bin/dirty "$dirty" &
fi
own=''
if [ "$load" = database ]; then
  # The first disk is the database's; the others are written to as ever.
  own=vda disks=$((disks - 1))
  /bin/database &
  until [ -e /state/database ]; do usleep 20000; done
fi
[ "$disks" = 0 ] || /bin/disk "$diskslots" "$own" "$diskrate" &
# A guest that writes to a serial port without end, as fast as it takes it.
[ -z "$flood" ] || dd if=/dev/zero of="/dev/$flood" bs=4k 2>/dev/null &
# Its power button: what it wrote is on its disks before it goes down.
pressed=0
{
  while [ "$pressed" = 0 ]; do
    sleep 1
    read -r pressed _ </sys/firmware/acpi/interrupts/ff_pwr_btn || exit
  done
  echo 'godwit: power button'
  sync
  poweroff -f
} &
: >/state/ready
echo 'godwit: ready'
while :; do wait; sleep 3600; done
