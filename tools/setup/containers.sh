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

# Reads the lists of sid and fetches patchelf, once.
sid_update() {
  local uri
  [ -z "${sid_updated:-}" ] || return 0
  private_apt_update && download "$scratch/patchelf" patchelf || return 1
  mkdir -p "$scratch/patchelf.tree"
  dpkg-deb --fsys-tarfile "$scratch"/patchelf/*.deb | tar -C "$scratch/patchelf.tree" -x
  uri=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) [^ -]* main$/\2/p' "$scratch/apt/sources.list" | head -n 1)
  mkdir -p "$scratch/sid/lists/partial" "$scratch/sid/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri sid main" >"$scratch/sid/sources.list"
  sid_apt apt-get -qq update >"$scratch/sid.log" 2>&1 || { say "apt-get update of sid failed: $(tail -n 1 "$scratch/sid.log")"; return 1; }
  sid_updated=yes
}

sid_download() { # FOLDER WHAT PATTERN PACKAGE...: the packages and their libraries that match PATTERN
  local folder=$1 what=$2 pattern=$3 wanted
  shift 3
  wanted=$(sid_apt apt-get -s --no-install-recommends install "$@" 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*/\1/p' |
    grep -E "^($pattern|lib.*)$" | sort -u | tr '\n' ' ')
  say "fetching $what from Debian's sid: ${wanted% }"
  mkdir -p "$folder"
  (cd "$folder" && sid_apt apt-get -qq download $wanted >"$scratch/sid.log" 2>&1) || {
    say "could not download $what: $(tail -n 1 "$scratch/sid.log")"
    return 1
  }
}

containers_download() {
  sid_update && sid_download "$scratch/containers.debs" 'CRIU and runc' 'criu|runc' criu runc
}

containers_unpack() { # FOLDER
  sid_programs "$scratch/containers.debs" "$1" "$containers_home" criu runc
}

# Programs find their loader and their libraries beside them, wherever their file is run from.
sid_programs() { # DEBS FOLDER HOME PROGRAM...: HOME is where FOLDER will be
  local deb program debs=$1 folder=$2 home=$3 unpacked="$1.tree" lib="$2/lib"
  shift 3
  mkdir -p "$unpacked" "$folder/bin" "$lib"
  for deb in "$debs"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$unpacked" -x --exclude='./usr/share'
  done
  cp -P "$unpacked"/usr/lib/x86_64-linux-gnu/*.so* "$lib/"
  for program in "$@"; do
    cp "$(find "$unpacked" \( -path "*bin/$program" -o -path "*/libexec/podman/$program" -o -path "*/lib/podman/$program" \) -type f | head -n 1)" "$folder/bin/$program" &&
      "$scratch/patchelf.tree/usr/bin/patchelf" --set-interpreter "$home/lib/ld-linux-x86-64.so.2" \
        --set-rpath "$home/lib" --force-rpath "$folder/bin/$program" || return 1
  done
}
