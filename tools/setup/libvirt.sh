# A newer libvirt beside the system's for the test of moves between versions: from the backports of Debian, unpacked under the
# cache and never installed, since that would start services. What it links to besides itself is the system's. Only that test
# asks for it (--only libvirt).

newer_libvirt_home="$cache/libvirt/backports"

newer_libvirt_ready() { [ -s "$newer_libvirt_home/version" ] && [ -d "$newer_libvirt_home/usr/share/libvirt" ] && [ -x "$newer_libvirt_home/usr/sbin/libvirtd" ]; }

newer_libvirt_bring() {
  local suite part deb wanted='libvirt0 libvirt-common libvirt-clients libvirt-daemon'
  [ "$(distribution ID)" = debian ] && have_apt && private_apt_update || die 'the test of moves between versions of libvirt needs packages of Debian'
  suite="$(distribution VERSION_CODENAME)-backports"
  for part in common log lock driver-qemu driver-network driver-nodedev driver-nwfilter driver-secret driver-storage plugin-lockd; do
    wanted="$wanted libvirt-daemon-$part"
  done
  say "fetching libvirt of $suite"
  download "$scratch/libvirt" $(printf "%s/$suite " $wanted) || die "libvirt of $suite cannot be had"
  mkdir -p "$scratch/libvirt-root"
  for deb in "$scratch"/libvirt/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$scratch/libvirt-root" -x --exclude='./etc' --exclude='./var' --exclude='./usr/share/locale' --exclude='./usr/share/doc'
  done
  dpkg-deb --field "$scratch"/libvirt/libvirt-daemon_*.deb Version >"$scratch/libvirt-root/version"
  rm -rf "$newer_libvirt_home"
  mkdir -p "$(dirname "$newer_libvirt_home")"
  mv "$scratch/libvirt-root" "$newer_libvirt_home"
}

# That of Debian's next release, whose C library is newer than the system's: in a root of its own, with its QEMU and all that
# both need (its network driver starts nowhere without nft or iptables). Its packages are unpacked there and none of their scripts are run.

next_libvirt_home="$cache/libvirt/next"

next_libvirt_ready() { [ -s "$next_libvirt_home/version" ] && [ -x "$next_libvirt_home/usr/sbin/libvirtd" ] && [ -x "$next_libvirt_home/usr/bin/qemu-system-x86_64" ] && [ -x "$next_libvirt_home/usr/sbin/nft" ]; }

next_libvirt_bring() {
  local suite=forky lists="$scratch/apt-next" root="$scratch/libvirt-next" part deb names wanted='base-files libvirt-daemon nftables qemu-system-x86 qemu-utils'
  [ "$(distribution ID)" = debian ] && have_apt && private_apt_update || die 'libvirt of the next Debian needs packages of Debian'
  for part in driver-qemu driver-network driver-nodedev driver-nwfilter driver-secret driver-storage plugin-lockd; do
    wanted="$wanted libvirt-daemon-$part"
  done
  mkdir -p "$lists/lists/partial" "$lists/debs" "$root"
  : >"$lists/status"
  sed -n "s|^\(deb .*\) $(distribution VERSION_CODENAME)-backports main$|\1 $suite main|p" "$scratch/apt/sources.list" >"$lists/sources.list"
  # What is installed here is of another release: nothing of it counts.
  next_apt() {
    private_apt apt-get -qq -o Dir::Etc::sourcelist="$lists/sources.list" -o Dir::State::lists="$lists/lists" \
      -o Dir::State::status="$lists/status" -o Acquire::Check-Valid-Until=false "$@"
  }
  say "fetching libvirt of Debian's $suite, with its QEMU and what they need"
  next_apt update >"$scratch/next.log" 2>&1 || die "packages of $suite cannot be had: $(tail -n 1 "$scratch/next.log")"
  names=$(next_apt -s --no-install-recommends install $wanted 2>"$scratch/next.log" | sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p')
  [ -n "$names" ] || die "libvirt of $suite cannot be had: $(tail -n 1 "$scratch/next.log")"
  (cd "$lists/debs" && next_apt download $names >"$scratch/next.log" 2>&1) || die "libvirt of $suite cannot be had: $(tail -n 1 "$scratch/next.log")"
  # The links from /bin, /lib and /sbin are of base-files: first, so that what lies there comes to lie below /usr.
  for deb in "$lists"/debs/base-files_*.deb "$lists"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$root" -x --keep-directory-symlink --exclude='./var/lib/*' --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale'
  done
  # Where a daemon's own are mounted.
  mkdir -p "$root/etc/libvirt" "$root/var" "$root/run" "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
  touch "$root/etc/passwd" "$root/etc/group"
  chroot "$root" /usr/sbin/libvirtd --version >"$scratch/next.log" 2>&1 || die "libvirt of $suite does not run here: $(tail -n 1 "$scratch/next.log")"
  dpkg-deb --field "$lists"/debs/libvirt-daemon_*.deb Version >"$root/version"
  rm -rf "$next_libvirt_home"
  mkdir -p "$(dirname "$next_libvirt_home")"
  mv "$root" "$next_libvirt_home"
}
