# Clean Debians, in which the tests install the package. They have systemd's files; Debian 13 has its programs, and a QEMU, too: it is booted as a guest, and is a host of a fleet.

clean_root="$cache/root/bookworm"
newer_root="$cache/root/trixie"

clean_root_ready() { [ "$only" = demo ] || [ "$(id -u)" != 0 ] || [ -s "$cache/root/unavailable" ] || [ -x "$clean_root/usr/bin/systemd-analyze" ]; }
newer_root_ready() { [ "$(id -u)" != 0 ] || [ -s "$cache/root/unavailable" ] || [ -x "$newer_root/usr/bin/qemu-system-x86_64" ]; }

clean_root_bring() {
  debian_root "$clean_root" bookworm 'Debian 12' iproute2,libatomic1,libstdc++6,systemd
}

newer_root_bring() {
  debian_root "$newer_root" trixie 'Debian 13' iproute2,libatomic1,libstdc++6,systemd,systemd-sysv,dbus,udev,qemu-system-x86
}

# The newer release is taken from where this machine has Debian 12 from.
debian_root() { # FOLDER RELEASE NAME PACKAGES
  local mirror
  mkdir -p "$cache/root"
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
    sed -n 's/ bookworm main$//p' | head -n 1)
  if [ -z "$mirror" ] || ! apt_install debootstrap dpkg-dev binutils lintian >"$scratch/apt.log" 2>&1; then
    echo 'apt has no source of Debian 12, or no debootstrap' >"$cache/root/unavailable"
    say "no clean root of $3; tests that install the package will be skipped"
    return 0
  fi
  say "making a clean root of $3 with debootstrap"
  rm -rf "$1.new"
  debootstrap --variant=minbase "--include=$4" "$2" "$1.new" "$mirror" >"$scratch/debootstrap.log" 2>&1 ||
    { say "debootstrap failed: $(tail -n 1 "$scratch/debootstrap.log"); tests that install the package will be skipped this time"; rm -rf "$1.new"; return 0; }
  rm -rf "$1.new"/var/cache/apt/archives/*.deb "$1.new"/var/lib/apt/lists/* "$1.new"/var/cache/apt/*.bin "$1"
  mv "$1.new" "$1"
}
