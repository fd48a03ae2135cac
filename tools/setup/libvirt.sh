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
