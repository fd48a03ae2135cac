# What moves containers: CRIU and runc of Debian's sid, in Godwit's own cache with the libraries and the C library that
# they need. The machine's own stay as they are; those of Debian 12 are too old for kernels of today.

containers_home="$cache/containers"

containers_ready() { [ -s "$containers_home/unavailable" ] || [ -x "$containers_home/bin/runc" ]; }

# Brought only where something asks for it by --only containers: the tests of containers, and who wants to move them.
containers_bring() {
  local home="$scratch/containers"
  mkdir -p "$containers_home"
  if [ "$(distribution ID)" != debian ] || [ "$(uname -m)" != x86_64 ] || ! have_apt; then
    echo 'CRIU and runc are brought from Debian, and only for x86_64' >"$containers_home/unavailable"
    say 'no CRIU and runc; tests of containers will fail'
    return 0
  fi
  if ! containers_download || ! containers_unpack "$home"; then
    say 'no CRIU and runc this time; tests of containers will fail'
    return 0
  fi
  rm -rf "$containers_home"
  mv "$home" "$containers_home"
  "$containers_home/bin/criu" --version >/dev/null 2>"$scratch/criu.log" || say "CRIU does not start: $(head -n 1 "$scratch/criu.log")"
}

# apt on lists of sid alone. patchelf is this machine's release's.
sid_apt() {
  local program=$1
  shift
  "$program" -o Dir::Etc::sourcelist="$scratch/sid/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$scratch/sid/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$scratch/sid" \
    -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

containers_download() {
  local uri wanted
  private_apt_update && download "$scratch/patchelf" patchelf || return 1
  uri=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) [^ -]* main$/\2/p' "$scratch/apt/sources.list" | head -n 1)
  mkdir -p "$scratch/sid/lists/partial" "$scratch/sid/archives/partial" "$scratch/sid/debs"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri sid main" >"$scratch/sid/sources.list"
  sid_apt apt-get -qq update >"$scratch/sid.log" 2>&1 || { say "apt-get update of sid failed: $(tail -n 1 "$scratch/sid.log")"; return 1; }
  wanted=$(sid_apt apt-get -s --no-install-recommends install criu runc 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*/\1/p' |
    grep -E '^(criu|runc|lib.*)$' | sort -u | tr '\n' ' ')
  say "fetching CRIU and runc from Debian's sid: ${wanted% }"
  (cd "$scratch/sid/debs" && sid_apt apt-get -qq download $wanted >"$scratch/sid.log" 2>&1) || {
    say "could not download CRIU and runc: $(tail -n 1 "$scratch/sid.log")"
    return 1
  }
}

# Both find their loader and their libraries beside them, wherever their file is run from.
containers_unpack() { # FOLDER
  local deb program unpacked="$scratch/containers.tree" lib="$1/lib"
  mkdir -p "$unpacked" "$1/bin" "$lib" "$scratch/patchelf.tree"
  for deb in "$scratch"/sid/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$unpacked" -x --exclude='./usr/share'
  done
  dpkg-deb --fsys-tarfile "$scratch"/patchelf/*.deb | tar -C "$scratch/patchelf.tree" -x
  cp -P "$unpacked"/usr/lib/x86_64-linux-gnu/*.so* "$lib/"
  for program in criu runc; do
    cp "$(find "$unpacked" -path "*bin/$program" -type f | head -n 1)" "$1/bin/$program" &&
      "$scratch/patchelf.tree/usr/bin/patchelf" --set-interpreter "$containers_home/lib/ld-linux-x86-64.so.2" \
        --set-rpath "$containers_home/lib" --force-rpath "$1/bin/$program" || return 1
  done
}
