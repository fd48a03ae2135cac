# What is fetched from the distribution and unpacked under the user's cache, never installed: the
# guest's kernel and busybox, and a second QEMU to migrate between versions. apt works here on lists
# and sources of its own, so the machine's /etc/apt and /var/lib/apt stay as they are.

guest_home="$cache/guest/kernel"
second_qemu_home="$cache/qemu/10.0"

# Setups of earlier builds left out the modules by which a guest writes variables of its firmware, and hears its power button.
guest_ready() {
  [ -s "$guest_home/manifest.json" ] && { { [ -e "$guest_home/efivarfs" ] && [ -e "$guest_home/button" ]; } || [ "$only" = demo ]; }
}

# A distribution that has no second QEMU to offer is remembered, to say so once and not each time.
second_qemu_ready() {
  [ -s "$cache/qemu/unavailable" ] || { [ -x "$second_qemu_home/bin/qemu-system-x86_64" ] && [ -e "$second_qemu_home/$nfs_module" ]; }
}

# QEMU's own NFS client, without which no guest of the lab has its disk on an export.
nfs_module=usr/lib/x86_64-linux-gnu/qemu/block-nfs.so

# Emulated guests of a QEMU before 9.0 lose a dirty page now and then while they migrate: writes through
# a stale TLB entry are not tracked. With KVM they do not; whether KVM works is not known at this point.
qemu_loses_pages() {
  local version
  version=$(qemu-system-x86_64 --version 2>/dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p;q')
  [ "${version:-0}" -lt 9 ]
}

distribution() { # ID or VERSION_CODENAME
  (. /etc/os-release 2>/dev/null && eval "printf '%s' \"\${$1:-}\"") || true
}

# Runs an apt program on the private sources and lists.
private_apt() {
  local program=$1
  shift
  "$program" -o Dir::Etc::sourcelist="$scratch/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$scratch/apt/lists" -o Dir::Cache="$scratch/apt" -o APT::Sandbox::User=root \
    -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

# Derives the private sources from those of the machine (apt itself reads both of its file formats)
# and, on Debian, adds the backports suite of the same archive.
private_apt_update() {
  [ -z "${private_apt_updated:-}" ] || return 0
  local codename keyring option='' uri suite component
  codename=$(distribution VERSION_CODENAME)
  keyring="/usr/share/keyrings/$(distribution ID)-archive-keyring.gpg"
  [ ! -r "$keyring" ] || option="[signed-by=$keyring] "
  mkdir -p "$scratch/apt/lists/partial" "$scratch/apt/archives/partial"
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    sort -u | while read -r uri suite component; do
      case "$component" in main | universe) ;; *) continue ;; esac
      case "$suite" in "$codename"*) echo "deb $option$uri $suite $component" ;; esac
      [ "$suite/$component/$(distribution ID)" != "$codename/main/debian" ] ||
        echo "deb $option$uri $codename-backports main"
    done | sort -u >"$scratch/apt/sources.list"
  [ -s "$scratch/apt/sources.list" ] || { say "apt has no source for ${codename:-this distribution}"; return 1; }
  private_apt apt-get -qq update >"$scratch/apt-update.log" 2>&1 || {
    say "apt-get update failed: $(grep -m1 '^E:' "$scratch/apt-update.log" || tail -n 1 "$scratch/apt-update.log")"
    return 1
  }
  private_apt_updated=yes
}

have_apt() { command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; }

download() { # FOLDER APT-ARGUMENT...: leaves the .deb files in FOLDER
  local folder=$1
  shift
  mkdir -p "$folder"
  (cd "$folder" && private_apt apt-get -qq download "$@" >"$scratch/download.log" 2>&1) || {
    say "could not download $*: $(tail -n 1 "$scratch/download.log")"
    return 1
  }
}

depends_on() { # PACKAGE PREFIX: the first dependency of PACKAGE whose name starts so
  private_apt apt-cache depends "$1" 2>/dev/null | sed -n "s/^ *Depends: \($2[0-9].*\)$/\1/p" | head -n 1
}

guest_bring() {
  local home="$scratch/guest"
  mkdir -p "$home"
  kernel_from_package "$home" || kernel_from_host "$home" ||
    die 'no kernel for the lab'\''s guests: neither a package of the distribution nor this machine'\''s own could be had'
  # The modules are unpacked here, so that whoever builds an initramfs needs no xz and no zstd.
  find "$home" -name '*.ko.xz' -exec xz -d {} + 2>"$scratch/xz.log" || die 'the kernel'\''s modules are packed with xz: install xz-utils'
  find "$home" -name '*.ko.zst' -exec zstd -q -d --rm {} + 2>"$scratch/zstd.log" || die 'the kernel'\''s modules are packed with zstd: install zstd'
  find "$home" -name '*.ko.gz' -exec gzip -d {} +
  busybox_into "$home"
  write_manifest "$home"
  # A kernel may have it built in, or not at all: it is looked for once.
  find "$home" -name 'efivarfs.ko' >"$home/efivarfs"
  find "$home" -name 'button.ko' >"$home/button"
  mkdir -p "$(dirname "$guest_home")"
  rm -rf "$guest_home"
  mv "$home" "$guest_home"
}

kernel_from_package() { # FOLDER
  have_apt && private_apt_update || return 1
  local meta image modules
  for meta in linux-image-cloud-amd64 linux-image-virtual linux-image-amd64 linux-image-generic; do
    image=$(depends_on "$meta" linux-image-)
    [ -z "$image" ] || break
  done
  [ -n "$image" ] || return 1
  modules=$(depends_on "$image" linux-modules-)
  say "fetching the guest's kernel: $image"
  download "$scratch/kernel" "$image" ${modules:+"$modules"} || return 1
  local deb
  for deb in "$scratch"/kernel/*.deb; do unpack_kernel "$deb" "$1"; done
  ls "$1"/boot/vmlinuz-* >/dev/null 2>&1
}

# A kernel package holds a thousand modules; the guest loads a dozen.
unpack_kernel() { # DEB FOLDER
  dpkg-deb --fsys-tarfile "$1" | tar -C "$2" -x --wildcards --no-wildcards-match-slash --exclude='*/doc/*' \
    './boot/vmlinuz-*' 2>/dev/null || true
  dpkg-deb --fsys-tarfile "$1" | tar -C "$2" -x --wildcards \
    '*/virtio*.ko*' '*/failover.ko*' '*/net_failover.ko*' '*/efivarfs.ko*' '*/acpi/button.ko*' '*/modules.builtin' '*/modules.order' 2>/dev/null || true
}

kernel_from_host() { # FOLDER
  local release image
  release=$(uname -r)
  for image in "/boot/vmlinuz-$release" "/lib/modules/$release/vmlinuz"; do [ ! -r "$image" ] || break; done
  [ -r "$image" ] && [ -d "/lib/modules/$release" ] || return 1
  say "taking this machine's own kernel for the guests: $image"
  mkdir -p "$1/boot"
  cp "$image" "$1/boot/vmlinuz-$release"
  (cd / && find "lib/modules/$release/" \( -name 'virtio*.ko*' -o -name failover.ko\* -o -name net_failover.ko\* -o -name efivarfs.ko\* -o -name button.ko\* \
    -o -name modules.builtin -o -name modules.order \) -print0 | tar -c --null -T -) | tar -C "$1" -x
}

# The guest's userland: busybox, linked statically since it is alone in there.
busybox_into() { # FOLDER
  local own
  own=$(command -v busybox || true)
  # A program that is not static names its loader at the start of its file.
  if [ -n "$own" ] && ! head -c 4096 "$own" | LC_ALL=C grep -aq '/ld-'; then
    cp -L "$own" "$1/busybox"
  else
    have_apt && private_apt_update && download "$scratch/busybox" busybox-static ||
      die 'a statically linked busybox is missing: install the package busybox-static (busybox on Arch, Fedora and Alpine)'
    dpkg-deb --fsys-tarfile "$scratch"/busybox/*.deb | tar -C "$scratch/busybox" -x
    cp "$(find "$scratch/busybox" -path '*bin/busybox' -type f | head -n 1)" "$1/busybox"
  fi
  chmod 0755 "$1/busybox"
}

write_manifest() { # FOLDER: its paths name where the folder will be
  local image release modules
  image=$(cd "$1" && ls boot/vmlinuz-* | sort -V | tail -n 1)
  release=${image#boot/vmlinuz-}
  modules=$(cd "$1" && find . -path "*/modules/$release" -type d | head -n 1)
  [ -n "$modules" ] || die "the kernel $release came without its modules"
  printf '{\n  "release": "%s",\n  "vmlinuz": "%s",\n  "modulesDir": "%s",\n  "busybox": "%s"\n}\n' \
    "$release" "$guest_home/$image" "$guest_home/${modules#./}" "$guest_home/busybox" >"$1/manifest.json"
}

second_qemu_bring() {
  local reason home="$scratch/qemu" deb
  mkdir -p "$cache/qemu"
  if [ "$(distribution VERSION_CODENAME)" != bookworm ] || ! have_apt; then
    reason='only Debian 12 has two QEMU versions side by side (7.2, and 10.0 in its backports)'
    printf '%s\n' "$reason" >"$cache/qemu/unavailable"
    say "no second QEMU: $reason; tests between versions will be skipped"
    return 0
  fi
  if ! private_apt_update || ! download_second_qemu; then
    say 'no second QEMU this time; tests between versions will be skipped'
    return 0
  fi
  mkdir -p "$home"
  for deb in "$scratch"/second/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$home" -x --exclude='./usr/share/doc' --exclude='./usr/share/man'
  done
  second_qemu_wrapper "$home"
  rm -rf "$second_qemu_home"
  mv "$home" "$second_qemu_home"
  "$second_qemu_home/bin/qemu-system-x86_64" --version >/dev/null 2>"$scratch/second.log" ||
    say "the second QEMU does not start: $(head -n 1 "$scratch/second.log")"
}

# Fetches what apt would install or raise to have the backported QEMU: it and the libraries that are
# missing here, and its NFS client without the other network drives of that package. The machine's own QEMU
# stays what it is.
download_second_qemu() {
  local wanted
  wanted=$(private_apt apt-get -s -t bookworm-backports --no-install-recommends install qemu-system-x86 2>/dev/null |
    sed -n 's/^Inst \([^ ]*\) .*/\1/p' | grep -v '^qemu-utils$' | sort -u | tr '\n' ' ')
  # Where the machine has the backport installed already, these four are all that a prefix needs.
  [ -n "$wanted" ] || wanted='qemu-system-x86 qemu-system-common qemu-system-data seabios'
  wanted="${wanted% } qemu-block-extra $(depends_on qemu-block-extra libnfs)"
  say "fetching a second QEMU from bookworm-backports: ${wanted% }"
  download "$scratch/second" -t bookworm-backports $wanted
}

# QEMU looks for its firmware, modules and libraries where they would be installed.
second_qemu_wrapper() { # FOLDER
  mkdir -p "$1/bin"
  cat >"$1/bin/qemu-system-x86_64" <<'WRAPPER'
#!/bin/sh
prefix=$(dirname "$(dirname "$(readlink -f "$0")")")
libraries="$prefix/usr/lib/x86_64-linux-gnu:$prefix/lib/x86_64-linux-gnu"
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export QEMU_MODULE_DIR="$prefix/usr/lib/x86_64-linux-gnu/qemu"
exec "$prefix/usr/bin/qemu-system-x86_64" -L "$prefix/usr/share/qemu" -L "$prefix/usr/share/seabios" "$@"
WRAPPER
  chmod 0755 "$1/bin/qemu-system-x86_64"
}
