# OVN's programs for the test of its logical ports: from Debian's packages, unpacked under the cache and never installed,
# since that would start services. They use the Open vSwitch that the system has. Only that test asks for it (--only ovn).

ovn_ready() { [ -x "$cache/ovn/usr/bin/ovn-controller" ] && [ -s "$cache/ovn/usr/share/ovn/ovn-sb.ovsschema" ]; }

ovn_bring() {
  local deb
  have_apt && private_apt_update || die 'the test of logical ports needs OVN as packages of Debian'
  say 'fetching OVN'
  download "$scratch/ovn" ovn-common ovn-central ovn-host || die 'OVN cannot be had'
  mkdir -p "$scratch/ovn-root"
  for deb in "$scratch"/ovn/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -C "$scratch/ovn-root" -x --exclude='./etc'; done
  rm -rf "$cache/ovn"
  mv "$scratch/ovn-root" "$cache/ovn"
}
