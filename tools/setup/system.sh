# What the distribution's package manager brings: QEMU, qemu-img for the disks of the lab's guests, the tools that make network namespaces, perl for
# the lab's delay (it is everywhere, but for the barest systems) and, for the tests, strace, what filtering hosts have
# (nft and conntrack), Open vSwitch, SQLite for the database that a guest of the lab can run, an NFS server with its portmapper, and UEFI firmware.
# cc makes the stand-in for a GPU's driver. swtpm serves the TPMs of guests. libvirt's daemon and its client, which tests run in mounts of their own: they come without services.
# Only where apt brings that is it asked for: elsewhere it is often not packaged, and the lab says what is missing.

system_commands='qemu-system-x86_64 qemu-img ip tc unshare flock perl'
[ "$only" = demo ] || system_commands="$system_commands strace nft conntrack ovs-vswitchd sqlite3 mkfs.ext4"

if [ "$only" != demo ] && command -v apt-get >/dev/null; then system_commands="$system_commands cc ganesha.nfsd rpcbind libvirtd virsh swtpm"; fi

# UEFI firmware is no command.
uefi_firmware=/usr/share/OVMF/OVMF_CODE_4M.fd

# What is missing of the commands above, and the one library that Node 26 wants and that a minimal
# system lacks.
system_missing() {
  local command
  for command in $system_commands; do command -v "$command" >/dev/null || echo "$command"; done
  compgen -G '/usr/lib*/libatomic.so.1' >/dev/null || compgen -G '/usr/lib/*/libatomic.so.1' >/dev/null ||
    compgen -G '/lib/*/libatomic.so.1' >/dev/null || echo libatomic.so.1
  [ "$only" = demo ] || ! command -v apt-get >/dev/null || [ -s "$uefi_firmware" ] || echo OVMF_CODE_4M.fd
}

system_ready() { [ -z "$(system_missing)" ]; }

package_of() { # COMMAND-OR-LIBRARY FAMILY
  case "$2:$1" in
    apt:qemu-system-x86_64) echo qemu-system-x86 ;;
    dnf:qemu-system-x86_64) echo qemu-system-x86-core ;;
    pacman:qemu-system-x86_64) echo qemu-system-x86 ;;
    zypper:qemu-system-x86_64) echo qemu-x86 ;;
    apk:qemu-system-x86_64) echo qemu-system-x86_64 ;;
    apt:qemu-img) echo qemu-utils ;;
    zypper:qemu-img) echo qemu-tools ;;
    *:qemu-img) echo qemu-img ;;
    apt:libatomic.so.1 | zypper:libatomic.so.1) echo libatomic1 ;;
    pacman:libatomic.so.1) echo gcc-libs ;;
    *:libatomic.so.1) echo libatomic ;;
    dnf:sqlite3 | apk:sqlite3 | pacman:sqlite3) echo sqlite ;;
    *:OVMF_CODE_4M.fd) echo ovmf ;;
    *:mkfs.ext4) echo e2fsprogs ;;
    *:strace | *:perl | *:sqlite3) echo "$1" ;;
    *:nft) echo nftables ;;
    *:swtpm) echo swtpm ;;
    apt:cc) printf '%s\n' gcc libc6-dev ;;
    apt:conntrack) echo conntrack ;;
    *:conntrack) echo conntrack-tools ;;
    apt:ganesha.nfsd) printf '%s\n' nfs-ganesha nfs-ganesha-vfs ;;
    apt:rpcbind) echo rpcbind ;;
    apt:libvirtd) printf '%s\n' libvirt-daemon libvirt-daemon-driver-qemu ;;
    apt:virsh) echo libvirt-clients ;;
    apt:ovs-vswitchd) echo openvswitch-switch ;;
    *:ovs-vswitchd) echo openvswitch ;;
    apt:ip | apt:tc | pacman:ip | pacman:tc | zypper:ip | zypper:tc | apk:ip) echo iproute2 ;;
    dnf:ip) echo iproute ;;
    dnf:tc | apk:tc) [ "$2" = dnf ] && echo iproute-tc || echo iproute2-tc ;;
    *) echo util-linux ;;
  esac
}

packages_of() { # FAMILY COMMAND...
  local family=$1 command
  shift
  for command in "$@"; do package_of "$command" "$family"; done | sort -u | tr '\n' ' '
}

# Runs a command as root: as it is, or through sudo where that asks for no password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif sudo -n true 2>/dev/null; then sudo -n "$@"; else return 77; fi
}

system_bring() {
  local commands family packages
  commands=$(system_missing | tr '\n' ' ')
  for family in apt-get dnf pacman zypper apk none; do command -v "$family" >/dev/null && break; done
  case "$family" in
    apt-get) packages=$(packages_of apt $commands) ;;
    none) die "these are missing: ${commands}- install them with your package manager" ;;
    *) die "these packages are missing; install them as root: $family $(family_verb "$family") $(packages_of "$family" $commands)(and busybox, statically linked)" ;;
  esac
  say "installing ${packages% } with apt-get"
  services_held_back
  if ! apt_install $packages >"$scratch/apt.log" 2>&1; then
    as_root true || die "these packages are missing; install them as root: apt-get install ${packages% }"
    tail -n 5 "$scratch/apt.log" >&2
    die "apt-get could not install ${packages% }; its last lines are above"
  fi
  services_let_be "$packages"
  system_ready || die "installed ${packages% }, and still these are missing: $(system_missing | tr '\n' ' ')"
}

# Open vSwitch and the NFS server come with services. The lab starts such programs of its own, so none is to run on this
# machine, now or after its next start, because of setup. Where there is a policy already, as in containers, it decides.
service_policy=/usr/sbin/policy-rc.d
service_mark='# Of Godwit'\''s setup, while it installs what comes with services.'

services_held_back() {
  nfs_was_there=$(command -v mount.nfs || true)
  [ ! -e "$service_policy" ] || return 0
  printf '%s\n' '#!/bin/sh' "$service_mark" 'case "$1" in openvswitch* | ovs* | nfs* | rpc*) exit 101 ;; esac' 'exit 104' >"$scratch/policy"
  as_root install -m 755 "$scratch/policy" "$service_policy" || true # whoever may not do that may install nothing either
}

# On every way out; also what a setup that was killed has left.
service_policy_removed() {
  if grep -qsxF "$service_mark" "$service_policy"; then as_root rm -f "$service_policy"; fi
}

services_let_be() { # PACKAGES that were not there before
  local units='' scripts='' each
  service_policy_removed
  case " $1 " in *' openvswitch-switch '*) units='openvswitch-switch.service ovs-record-hostname.service' scripts=openvswitch-switch ;; esac
  case " $1 " in *' nfs-ganesha '*) units="$units nfs-ganesha.service nfs-ganesha-lock.service" ;; esac
  # It brings the NFS client of the kernel, too, where that was not there.
  case " $1 " in *' nfs-ganesha '*) [ -n "$nfs_was_there" ] || { units="$units nfs-client.target"; scripts="$scripts nfs-common"; } ;; esac
  case " $1 " in *' rpcbind '*) units="$units rpcbind.service rpcbind.socket" scripts="$scripts rpcbind" ;; esac
  [ -n "$units" ] || return 0
  if command -v systemctl >/dev/null; then as_root systemctl disable $units >/dev/null 2>&1 || true; fi
  if command -v update-rc.d >/dev/null; then
    for each in $scripts; do as_root update-rc.d "$each" disable >/dev/null 2>&1 || true; done
  fi
  say "their services are off: the lab needs the programs only"
}

# QEMU's own NFS client is a package of its own, and the second QEMU has it in its prefix. Where the distribution's QEMU is
# built without, that is remembered: the lab says so, and tests of it are skipped.
nfs_client_ready() {
  [ "$only" != demo ] && have_apt && [ "$(distribution VERSION_CODENAME)" != bookworm ] || return 0
  compgen -G '/usr/lib/*/qemu/block-nfs.so' >/dev/null || [ -s "$cache/qemu/no-nfs-client" ]
}

nfs_client_bring() {
  say 'installing qemu-block-extra with apt-get'
  apt_install qemu-block-extra >"$scratch/apt.log" 2>&1 || true
  if ! nfs_client_ready; then
    mkdir -p "$cache/qemu"
    echo 'this QEMU has no NFS client to install' >"$cache/qemu/no-nfs-client"
    say 'no NFS client for QEMU; tests of it will be skipped'
  fi
}

family_verb() {
  case "$1" in pacman) echo -S ;; apk) echo add ;; *) echo install ;; esac
}

# A machine that never updated its lists knows no packages: update, then try once more.
apt_install() {
  local options='-y -q --no-install-recommends -o DPkg::Lock::Timeout=300'
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install $options "$@" || {
    as_root apt-get -q update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install $options "$@"
  }
}
