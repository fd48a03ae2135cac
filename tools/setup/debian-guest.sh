# A disk with Debian 13, its kernel and its PostgreSQL, which UEFI firmware boots: the guest of test/e2e/debian-guest.e2e.ts. It is
# made by debootstrap and partitioned like an installed one (EFI system, root). In place of systemd, which takes minutes where the
# processor is emulated and busy, a script starts PostgreSQL. Only that test asks for it (--only debian-guest).

debian_guest="$cache/guest/debian"
debian_guest_packages='linux-image-amd64,initramfs-tools,zstd,systemd-boot-efi,udev,kmod,iproute2,procps,tpm2-tools'
debian_guest_mib=2048
debian_guest_esp_mib=96

# What it is made by is kept beside it: another recipe, another disk.
debian_guest_recipe() { sha256sum <"$repo/tools/setup/debian-guest.sh"; }
debian_guest_ready() {
  [ "$(id -u)" != 0 ] || [ -s "$cache/root/unavailable" ] ||
    { [ -s "$debian_guest/disk.qcow2" ] && [ "$(cat "$debian_guest/recipe" 2>/dev/null)" = "$(debian_guest_recipe)" ]; }
}

debian_guest_bring() {
  local tree="$scratch/debian-guest"
  apt_install dosfstools mtools fdisk e2fsprogs qemu-utils >"$scratch/apt.log" 2>&1 || die 'apt-get could not install dosfstools, mtools and fdisk'
  debian_root "$tree" trixie 'Debian 13 for a guest' "$debian_guest_packages"
  [ -d "$tree" ] || return 0
  debian_guest_database "$tree" || die "PostgreSQL could not be installed in the guest: $(tail -n 1 "$scratch/debian-guest.log")"
  debian_guest_configured "$tree"
  debian_guest_disk "$tree" "$scratch/debian-guest.raw"
  mkdir -p "$debian_guest"
  qemu-img convert -f raw -O qcow2 "$scratch/debian-guest.raw" "$debian_guest/disk.new"
  mv "$debian_guest/disk.new" "$debian_guest/disk.qcow2"
  debian_guest_recipe >"$debian_guest/recipe"
}

# With Debian's own cluster, which starts with the machine and not here.
debian_guest_database() { # TREE
  printf '%s\n' 'exit 101' >"$1/usr/sbin/policy-rc.d"
  sed -i '1i #!/bin/sh' "$1/usr/sbin/policy-rc.d"
  chmod 755 "$1/usr/sbin/policy-rc.d"
  mount -t proc proc "$1/proc"
  chroot "$1" sh -c 'apt-get -q update && DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get install -y -q --no-install-recommends postgresql' \
    >"$scratch/debian-guest.log" 2>&1 || { umount "$1/proc"; return 1; }
  umount "$1/proc"
  rm -rf "$1/usr/sbin/policy-rc.d" "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*
}

debian_guest_configured() { # TREE
  local etc="$1/etc" cluster modules
  cluster=$(echo "$etc"/postgresql/*/main)
  echo debian >"$etc/hostname"
  echo 'LABEL=root / ext4 noatime 0 1' >"$etc/fstab"
  printf '%s\n' "listen_addresses = '*'" 'shared_buffers = 64MB' 'jit = off' >"$cluster/conf.d/lab.conf"
  echo 'host all all 10.88.0.0/24 trust' >>"$cluster/pg_hba.conf"
  cat >"$1/usr/local/sbin/guest-init" <<'END'
#!/bin/bash
# The first process: what a database needs, PostgreSQL, and the test's way in. The address is what QEMU gives as the serial number.
export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
modprobe -a virtio_net virtio_rng virtio_balloon tpm_crb efivarfs
mount -t efivarfs efivarfs /sys/firmware/efi/efivars
ip link set lo up
ip addr add "$(cat /sys/class/dmi/id/product_serial)/24" dev eth0
ip link set eth0 up
install -d -o postgres -g postgres /run/postgresql
pg_ctlcluster "$(ls /etc/postgresql)" main start
exec perl /usr/local/sbin/test-commands
END
  cat >"$1/usr/local/sbin/test-commands" <<'END'
# Each connection sends a line for a shell, in base64, and gets its exit status and its output, in base64.
use IO::Socket::INET; use MIME::Base64;
$SIG{CHLD} = 'IGNORE';
my $server = IO::Socket::INET->new(LocalPort => 7002, Listen => 8, ReuseAddr => 1) or die "port 7002: $!";
while (1) {
  my $client = $server->accept or next;
  if (fork() == 0) {
    $SIG{CHLD} = 'DEFAULT';
    open my $out, '-|', 'bash', '-c', 'exec 2>&1 </dev/null; ' . decode_base64(scalar <$client>) or die "bash: $!";
    my $said = join '', <$out>;
    close $out;
    print $client $? >> 8, ' ', encode_base64($said, ''), "\n";
    exit 0;
  }
  close $client;
}
END
  chmod 755 "$1/usr/local/sbin/guest-init"
  # What never runs here: each move copies the disk.
  modules=$(echo "$1"/usr/lib/modules/*/kernel)
  rm -rf "$modules"/sound "$modules"/drivers/{gpu,media,infiniband,staging,iio,net/wireless,net/ethernet} "$1"/usr/share/{doc,man,locale} "$1"/usr/lib/x86_64-linux-gnu/libLLVM*
  chroot "$1" depmod "$(basename "$(dirname "$modules")")"
}

# The firmware finds systemd-boot by its default name, and that finds Debian's kernel.
debian_guest_disk() { # TREE IMAGE
  local first=$((1 + debian_guest_esp_mib)) esp="$2.esp" kernel initrd entry="$scratch/debian.conf"
  printf '%s\n' ext4 virtio_pci virtio_blk >>"$1/etc/initramfs-tools/modules"
  sed -i 's/^MODULES=.*/MODULES=list/' "$1/etc/initramfs-tools/initramfs.conf"
  mount -t proc proc "$1/proc"
  chroot "$1" update-initramfs -u >"$scratch/initramfs.log" 2>&1 || { umount "$1/proc"; die "no initramfs for the guest: $(tail -n 1 "$scratch/initramfs.log")"; }
  umount "$1/proc"
  kernel=$(echo "$1"/boot/vmlinuz-*)
  initrd=$(echo "$1"/boot/initrd.img-*)
  printf '%s\n' 'title Debian' 'linux /vmlinuz' 'initrd /initrd' \
    'options root=LABEL=root rw quiet console=ttyS0 net.ifnames=0 mitigations=off no_timer_check fsck.mode=skip init=/usr/local/sbin/guest-init' >"$entry"
  truncate -s "${debian_guest_esp_mib}M" "$esp"
  mkfs.vfat -F 32 -n ESP "$esp" >/dev/null
  mmd -i "$esp" ::/EFI ::/EFI/BOOT ::/loader ::/loader/entries
  mcopy -i "$esp" "$1/usr/lib/systemd/boot/efi/systemd-bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
  mcopy -i "$esp" "$kernel" ::/vmlinuz
  mcopy -i "$esp" "$initrd" ::/initrd
  mcopy -i "$esp" "$entry" ::/loader/entries/debian.conf
  # The system needs its kernel's files no more: the firmware's partition has them.
  rm -f "$kernel" "$initrd"
  truncate -s "${debian_guest_mib}M" "$2"
  printf '%s\n' 'label: gpt' "start=1MiB, size=${debian_guest_esp_mib}MiB, type=uefi" "start=${first}MiB, type=linux" | sfdisk -q "$2"
  dd if="$esp" of="$2" bs=1M seek=1 conv=notrunc,sparse status=none
  mke2fs -q -t ext4 -L root -J size=16 -d "$1" -E "offset=$((first * 1048576))" "$2" $((debian_guest_mib - first - 1))M
}
