# A real iSCSI target (tgt) for the test of guests on LUNs, and what the second QEMU's own iSCSI client needs beside it: from
# Debian's packages, unpacked under the cache and never installed, since that would start a service. Only that test asks for
# it (--only iscsi).

iscsi_ready() {
  [ -x "$cache/iscsi/usr/sbin/tgtd" ] && compgen -G "$second_qemu_home/usr/lib/x86_64-linux-gnu/libiscsi.so.*" >/dev/null
}

iscsi_bring() {
  have_apt && private_apt_update || die 'the test of guests on LUNs needs tgt as a package of Debian'
  [ -x "$second_qemu_home/bin/qemu-system-x86_64" ] || die 'the test of guests on LUNs needs the second QEMU: run `npm run setup` first'
  say 'fetching an iSCSI target'
  download "$scratch/iscsi" tgt libaio1 libibverbs1 librdmacm1 && download "$scratch/libiscsi" libiscsi7 || die 'the iSCSI target cannot be had'
  unpack_into "$scratch/iscsi-root" "$scratch"/iscsi/*.deb
  unpack_into "$second_qemu_home" "$scratch"/libiscsi/*.deb
  rm -rf "$cache/iscsi"
  mv "$scratch/iscsi-root" "$cache/iscsi"
}

unpack_into() { # FOLDER DEB...
  local folder=$1 deb
  shift
  mkdir -p "$folder"
  for deb in "$@"; do dpkg-deb --fsys-tarfile "$deb" | tar -C "$folder" -x --exclude='./usr/share' --exclude='./etc'; done
}
