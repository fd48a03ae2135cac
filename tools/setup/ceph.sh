# A real small Ceph (monitor, OSD and its programs) for the test of guests on RBD, and what the second QEMU's own RBD client
# needs beside it: from Debian's packages, unpacked under the cache and never installed, since that would start services.
# Only that test asks for it (--only ceph).

ceph_ready() {
  [ -x "$cache/ceph/bin/rbd" ] && compgen -G "$second_qemu_home/usr/lib/x86_64-linux-gnu/librbd.so.*" >/dev/null
}

ceph_bring() {
  have_apt && private_apt_update || die 'the test of guests on RBD needs Ceph as packages of Debian'
  [ -x "$second_qemu_home/bin/qemu-system-x86_64" ] || die 'the test of guests on RBD needs the second QEMU: run `npm run setup` first'
  local wanted client program root="$scratch/ceph-root" libraries=usr/lib/x86_64-linux-gnu
  # What apt would install, without what is for disks, logs and services of a host.
  wanted=$(private_apt apt-get -s --no-install-recommends install ceph-mon ceph-osd ceph-common librbd1 2>/dev/null |
    sed -n 's/^Inst \([^ ]*\) .*/\1/p' |
    grep -Ev '^(cryptsetup-bin|gdisk|hdparm|logrotate|nvme-cli|parted|smartmontools|xfsprogs|sudo|dmeventd|lvm2)$' | sort -u | tr '\n' ' ')
  client='librbd1 librados2 libfmt9 libboost-thread1.74.0'
  say 'fetching a small Ceph'
  download "$scratch/ceph" $wanted && download "$scratch/librbd" $client || die 'Ceph cannot be had'
  unpack_into "$root" "$scratch"/ceph/*.deb
  unpack_into "$second_qemu_home" "$scratch"/librbd/*.deb
  # They look for it beside themselves only where they are installed.
  cp -a "$second_qemu_home/$libraries"/ceph/*.so* "$second_qemu_home/$libraries/"
  mkdir -p "$root/bin"
  for program in ceph ceph-authtool ceph-mon ceph-osd monmaptool rbd; do
    ceph_wrapper "$program" >"$root/bin/$program"
    chmod 0755 "$root/bin/$program"
  done
  rm -rf "$cache/ceph"
  mv "$root" "$cache/ceph"
}

ceph_wrapper() { # PROGRAM
  cat <<WRAPPER
#!/bin/sh
prefix=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")
libraries="\$prefix/usr/lib/x86_64-linux-gnu"
export LD_LIBRARY_PATH="\$libraries:\$libraries/ceph:\$prefix/lib/x86_64-linux-gnu"
export PYTHONPATH="\$prefix/usr/lib/python3/dist-packages"
exec "\$prefix/usr/bin/$1" "\$@"
WRAPPER
}
