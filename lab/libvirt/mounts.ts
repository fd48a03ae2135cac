import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { inHost } from '../entry.ts';
import { mountKeeper, startMountKeeper } from '../mount-keeper.ts';
import { managerOfGuests } from '../plan.ts';
import { labHost, type Lab, type LabHost } from '../state.ts';
import { keptDirectories } from './kept.ts';
import { LIBVIRT_PARTS, QEMU_MODULES } from './packages.ts';

/**
 * libvirt has fixed places below /etc, /var and /run. Each host of a lab with libvirt has mounts of its own there, and a
 * name of its own, so nothing of this machine's libvirt is read or written. A process keeps them: the daemon may end and
 * start again, and an agent works where the daemon does.
 */

const KEEPER = 'godwit-lab-mounts';
const START_MS = 10_000;

/** What of the file system is a host's own, below its directory `libvirt`. */
export const OWN_PLACES = ['etc/libvirt', 'var', 'run', 'etc/passwd', 'etc/group'] as const;

/**
 * $1: the host's own tree, $2: its name, $3: is made once all is mounted, $4: unpacked packages of libvirt, or nothing, then
 * the directories that stay as they are, also below /var and /run.
 */
const SCRIPT = `
set -e
own=$1 name=$2 ready=$3 packages=$4
shift 4
mount --make-rprivate /
mount -t tmpfs -o mode=0700 tmpfs /mnt
index=0
for kept; do
  index=$((index + 1))
  mkdir "/mnt/$index"
  mount --rbind "$kept" "/mnt/$index"
done
mkdir /mnt/own
mount --rbind "$own" /mnt/own
for place in ${OWN_PLACES.join(' ')}; do mount --bind "/mnt/own/$place" "/$place"; done
index=0
for kept; do
  index=$((index + 1))
  mkdir -p "$kept"
  mount --rbind "/mnt/$index" "$kept"
done
umount -R /mnt
if [ -n "$packages" ]; then
  for part in ${LIBVIRT_PARTS.join(' ')}; do mount --bind "$packages/$part" "/$part"; done
  if [ -d /${QEMU_MODULES} ]; then
    mkdir -p "$own/modules"
    find /${QEMU_MODULES} -name 'accel-*' -exec cp -t "$own/modules" {} +
    mount --bind "$own/modules" /${QEMU_MODULES}
  fi
fi
hostname "$name"
: >"$ready"
exec sleep infinity
`;

export function ownTree(host: Pick<LabHost, 'dir'>): string {
  return path.join(host.dir, 'libvirt');
}

/** Makes a host's mounts; its own tree is there. They go with the lab's processes. */
export async function makeMounts(
  lab: Lab,
  host: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const member = labHost(lab, host);
  const ready = path.join(member.dir, 'mounts.ready');
  const own = [ownTree(member), host, ready, lab.managerPackages ?? ''];
  const words = [...own, ...keptDirectories(lab)];
  const argv = ['unshare', '--mount', '--uts', 'bash', '-c', SCRIPT, KEEPER, ...words];
  const keeper = { mark: KEEPER_MARK, argv, ready, log: 'mounts.log', startMs: START_MS };
  await startMountKeeper(lab, host, keeper, signal);
}

const KEEPER_MARK = 'GODWIT_LAB_MOUNTS';

/** The command line that runs `argv` on a host, among its own mounts where it has some. */
export async function amongMounts(
  lab: Lab,
  host: string,
  argv: readonly string[],
): Promise<string[]> {
  if (managerOfGuests(lab) === undefined) return inHost(lab, host, argv);
  const keeper = await mountKeeper(lab, host, KEEPER_MARK);
  const enter = ['nsenter', `--mount=/proc/${keeper}/ns/mnt`, `--uts=/proc/${keeper}/ns/uts`];
  return inHost(lab, host, [...enter, ...argv]);
}

/** Files below a directory of a host's own, by their path there; none where it is not there. */
export function ownFiles(host: Pick<LabHost, 'dir'>, place: string): string[] {
  const directory = path.join(ownTree(host), place);
  return existsSync(directory) ? readdirSync(directory, { recursive: true, encoding: 'utf8' }) : [];
}
