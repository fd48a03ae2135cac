#!/usr/bin/env bash
# Brings what the demo, the tests and the benchmarks need. Run again it only looks, in well under a
# second. Everything it says goes to stderr, so that `npm run demo -- --json` keeps stdout to itself.
#
#   tools/setup.sh [--only demo|test|all|postgres|vcsim|containers|chromium|prometheus|iscsi|ceph|ovn|redis|ntlm|kerberos|winrmtest|debian|debian-guest|libvirt|libvirt-next|podman] [--check]
#
# demo: one QEMU, the lab's tools, Node's packages and a guest kernel. test and all: the same, strace, nft, conntrack, Open vSwitch, sqlite3, an NFS server, UEFI firmware, swtpm, a clean Debian 12
# to install the package in (as root), and a second QEMU beside the first. The demo gets the second too where the first is older than 9.0. postgres: PostgreSQL alone, which
# the tests of a controller's database ask for when they run; vcsim: a simulated vCenter alone, likewise; containers: CRIU and runc alone, likewise; chromium: a browser for tests of the dashboard alone, likewise; prometheus: likewise; iscsi: an iSCSI target alone, likewise; ceph: a small Ceph alone, likewise; ovn: OVN alone, likewise; redis: a layer with Redis for the lab's containers alone, likewise; ntlm: an acceptor of NTLM alone, likewise; kerberos: a realm of Kerberos and a web server for it alone, likewise; winrmtest: a shell of WinRM alone, likewise; debian: a clean Debian 13 alone, likewise; debian-guest: a disk with Debian 13 and PostgreSQL alone, likewise; libvirt: a newer libvirt beside the system's alone, likewise; libvirt-next: that of Debian's next release with its QEMU alone, which no test brings by itself; podman: podman 5 with crun alone, for tests of its containers. --check only says what is missing (exit status 1).
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
own_cache="${HOME:?setup needs HOME}/.cache"
# Root's lies where other users get to: guests' QEMUs run as users of their own, also those from here.
[ "$(id -u)" != 0 ] || own_cache=/var/cache
cache="${XDG_CACHE_HOME:-$own_cache}/godwit"
PATH="$PATH:/usr/sbin:/sbin"
only=all
check=no

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

while [ $# -gt 0 ]; do
  case "$1" in
    --only) only="${2:-}"; shift ;;
    --only=*) only="${1#--only=}" ;;
    --check) check=yes ;;
    *) die "unknown argument '$1'; known are --only demo|test|all|postgres|vcsim|containers|chromium|prometheus|iscsi|ceph|ovn|redis|ntlm|kerberos|winrmtest|debian|debian-guest|libvirt|libvirt-next|podman and --check" ;;
  esac
  shift
done
case "$only" in demo | test | all | postgres | vcsim | containers | chromium | prometheus | iscsi | ceph | ovn | redis | ntlm | kerberos | winrmtest | debian | debian-guest | libvirt | libvirt-next | podman) ;; *) die "--only takes demo, test, all, postgres, vcsim, containers, chromium, prometheus, iscsi, ceph, ovn, redis, ntlm, kerberos, winrmtest, debian, debian-guest, libvirt, libvirt-next or podman, not '$only'" ;; esac

# shellcheck source=tools/setup/system.sh
. "$repo/tools/setup/system.sh"
# shellcheck source=tools/setup/node.sh
. "$repo/tools/setup/node.sh"
# shellcheck source=tools/setup/downloads.sh
. "$repo/tools/setup/downloads.sh"
# shellcheck source=tools/setup/root.sh
. "$repo/tools/setup/root.sh"
# shellcheck source=tools/setup/postgres.sh
. "$repo/tools/setup/postgres.sh"
# shellcheck source=tools/setup/vcsim.sh
. "$repo/tools/setup/vcsim.sh"
# shellcheck source=tools/setup/containers.sh
. "$repo/tools/setup/containers.sh"
# shellcheck source=tools/setup/chromium.sh
. "$repo/tools/setup/chromium.sh"
# shellcheck source=tools/setup/prometheus.sh
. "$repo/tools/setup/prometheus.sh"
# shellcheck source=tools/setup/iscsi.sh
. "$repo/tools/setup/iscsi.sh"
# shellcheck source=tools/setup/ceph.sh
. "$repo/tools/setup/ceph.sh"
# shellcheck source=tools/setup/ovn.sh
. "$repo/tools/setup/ovn.sh"
# shellcheck source=tools/setup/redis.sh
. "$repo/tools/setup/redis.sh"
# shellcheck source=tools/setup/ntlm.sh
. "$repo/tools/setup/ntlm.sh"
# shellcheck source=tools/setup/kerberos.sh
. "$repo/tools/setup/kerberos.sh"
# shellcheck source=tools/setup/winrmtest.sh
. "$repo/tools/setup/winrmtest.sh"
# shellcheck source=tools/setup/debian-guest.sh
. "$repo/tools/setup/debian-guest.sh"
# shellcheck source=tools/setup/libvirt.sh
. "$repo/tools/setup/libvirt.sh"
# shellcheck source=tools/setup/podman.sh
. "$repo/tools/setup/podman.sh"

# What an earlier setup of root's put where only root gets to. Earlier builds find it through the link.
root_cache_moved() {
  local before="$HOME/.cache/godwit"
  [ "$cache" = /var/cache/godwit ] && [ -d "$before" ] && [ ! -L "$before" ] && [ ! -e "$cache" ] || return 0
  [ "$check" = no ] || die "missing: $cache (it is $before)"
  mkdir -p /var/cache
  mv "$before" "$cache"
  ln -s "$cache" "$before"
  [ ! -s "$cache/guest/kernel/manifest.json" ] || sed -i "s|$before/|$cache/|g" "$cache/guest/kernel/manifest.json"
  say "$before is $cache now"
}
root_cache_moved

# The names of the parts that are missing, in the order in which they are brought.
missing() {
  if [ "$only" = postgres ]; then postgres_ready || echo postgres; return 0; fi
  if [ "$only" = vcsim ]; then vcsim_ready || echo vcsim; return 0; fi
  if [ "$only" = containers ]; then containers_ready || echo containers; return 0; fi
  if [ "$only" = chromium ]; then chromium_ready || echo chromium; return 0; fi
  if [ "$only" = prometheus ]; then prometheus_ready || echo prometheus; return 0; fi
  if [ "$only" = iscsi ]; then iscsi_ready || echo iscsi; return 0; fi
  if [ "$only" = ceph ]; then ceph_ready || echo ceph; return 0; fi
  if [ "$only" = ovn ]; then ovn_ready || echo ovn; return 0; fi
  if [ "$only" = ntlm ]; then ntlm_ready || echo ntlm; return 0; fi
  if [ "$only" = kerberos ]; then kerberos_ready || echo kerberos; return 0; fi
  if [ "$only" = winrmtest ]; then winrmtest_ready || echo winrmtest; return 0; fi
  if [ "$only" = redis ]; then redis_ready || echo redis; return 0; fi
  if [ "$only" = debian ]; then newer_root_ready || echo newer_root; return 0; fi
  if [ "$only" = debian-guest ]; then debian_guest_ready || echo debian_guest; return 0; fi
  if [ "$only" = libvirt ]; then newer_libvirt_ready || echo newer_libvirt; return 0; fi
  if [ "$only" = libvirt-next ]; then next_libvirt_ready || echo next_libvirt; return 0; fi
  if [ "$only" = podman ]; then podman_ready || echo podman; return 0; fi
  system_ready || echo system
  node_ready || echo node
  wasm_ready || echo wasm
  guest_ready || echo guest
  nfs_client_ready || echo nfs_client
  clean_root_ready || echo clean_root
  if ! second_qemu_ready && { [ "$only" != demo ] || qemu_loses_pages; }; then echo second_qemu; fi
}

parts=$(missing)
[ -n "$parts" ] || exit 0
[ "$check" = no ] || die "missing:" $parts

[ "$(uname -s)" = Linux ] || die "Godwit's lab needs Linux: it is made of network namespaces"
mkdir -p "$cache"
if command -v flock >/dev/null; then
  exec 9>"$cache/setup.lock"
  flock -n 9 || { say 'another setup is at work; waiting for it'; flock -w 1800 9; }
  parts=$(missing) # the other one may have brought them
fi

scratch=$(mktemp -d "$cache/setup.XXXXXX")
trap 'service_policy_removed; rm -rf "$scratch"' EXIT

for part in $parts; do "${part}_bring"; done
[ -z "$parts" ] || say 'ready'
