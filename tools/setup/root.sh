# A clean Debian 12, in which the tests install the package. It has systemd's files for its checks of units, which run nothing.

clean_root="$cache/root/bookworm"

clean_root_ready() { [ "$only" = demo ] || [ "$(id -u)" != 0 ] || [ -s "$cache/root/unavailable" ] || [ -x "$clean_root/usr/bin/systemd-analyze" ]; }

clean_root_bring() {
  local mirror
  mkdir -p "$cache/root"
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
    sed -n 's/ bookworm main$//p' | head -n 1)
  if [ -z "$mirror" ] || ! apt_install debootstrap dpkg-dev binutils lintian >"$scratch/apt.log" 2>&1; then
    echo 'apt has no source of Debian 12, or no debootstrap' >"$cache/root/unavailable"
    say 'no clean root of Debian 12; tests that install the package will be skipped'
    return 0
  fi
  say 'making a clean root of Debian 12 with debootstrap'
  rm -rf "$clean_root.new"
  debootstrap --variant=minbase --include=iproute2,libatomic1,libstdc++6,systemd bookworm "$clean_root.new" "$mirror" >"$scratch/debootstrap.log" 2>&1 ||
    { say "debootstrap failed: $(tail -n 1 "$scratch/debootstrap.log"); tests that install the package will be skipped this time"; rm -rf "$clean_root.new"; return 0; }
  rm -rf "$clean_root.new"/var/cache/apt/archives/*.deb "$clean_root"
  mv "$clean_root.new" "$clean_root"
}
