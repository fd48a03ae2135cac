import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../clock.ts';
import { withDeadline } from '../deadline.ts';
import { godwitError, type GodwitError } from '../errors.ts';
import { runCommand } from './command.ts';
import { inHost } from './entry.ts';
import { labEnvironment, missingPrograms } from './environment.ts';
import { type LabStorage, NFS_EXPORT, NFS_SERVER } from './plan.ts';
import { isAlive } from '../host/process.ts';
import type { ProcessIdentity } from '../host/process.ts';
import { startDetached } from './processes.ts';
import type { Lab } from './state.ts';

/** The lab's NFS server: nfs-ganesha with its portmapper, in a namespace that every host reaches. */

const START_MS = 30_000;
const READY = 'NFS SERVER INITIALIZED';
const PROGRAMS = ['ganesha.nfsd', 'rpcbind', 'unshare', 'mount'];

/**
 * In mounts of its own, so that nothing of it is left on this machine: both programs have fixed places below /run, and
 * the export has the same short path in every lab. $1: what is exported; $2: configuration and log.
 */
const SCRIPT = `
set -e
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir /mnt/vm /mnt/own
mount --bind "$1" /mnt/vm
mount --bind "$2" /mnt/own
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/rpcbind /run/ganesha
mount -t tmpfs -o mode=0755 tmpfs /var/lib/nfs
mkdir /var/lib/nfs/ganesha
rpcbind -f &
left=500
until [ -S /run/rpcbind.sock ]; do
  left=$((left - 1))
  [ "$left" -gt 0 ]
  sleep 0.02
done
exec ganesha.nfsd -F -f /mnt/own/ganesha.conf -L /mnt/own/ganesha.log -p /run/ganesha/pid
`;

/** NFSv3 without locks, which is what QEMU's client speaks; who is root at a host is root here. */
const CONFIGURATION = `
NFS_CORE_PARAM { Protocols = 3; Enable_NLM = false; Enable_RQUOTA = false; }
LOG { Default_Log_Level = EVENT; }
EXPORT {
  Export_Id = 1;
  Path = "${NFS_EXPORT}";
  Pseudo = "${NFS_EXPORT}";
  Protocols = 3;
  Transports = TCP;
  Access_Type = RW;
  SecType = sys;
  Squash = No_Root_Squash;
  FSAL { Name = VFS; }
}
`;

/** What hosts name in their `storage`. */
export const LAB_NFS_URL = `nfs://${NFS_SERVER}${NFS_EXPORT}`;

/** Why a lab cannot have this storage here; undefined where it can. */
export async function storageLacks(
  storage: LabStorage | undefined,
  uid = process.getuid?.(),
): Promise<GodwitError | undefined> {
  if (storage !== 'nfs') return undefined;
  if (uid !== 0) {
    const needs = 'root: its NFS server opens files by their handles, which users may not';
    const hint = 'Run it as root, or choose --storage shared.';
    return godwitError('GODWIT_PRIVILEGE', { what: 'a lab with --storage nfs', needs }, { hint });
  }
  const missing = await missingPrograms(PROGRAMS);
  if (missing.length === 0) return undefined;
  return godwitError(
    'GODWIT_HOST_LACKS',
    { what: `an NFS server (${missing.join(', ')})` },
    {
      hint: 'Run `npm run setup`, or install nfs-ganesha, nfs-ganesha-vfs and rpcbind; their services need not run.',
    },
  );
}

/** Why a QEMU of this machine cannot open what lies on the lab's storage. */
export async function nfsClientLacks(
  lab: Pick<Lab, 'storage'>,
  qemu: string,
): Promise<GodwitError | undefined> {
  if (lab.storage !== 'nfs') return undefined;
  // A path without a directory: no driver goes to a server for it, and only one that is there finds fault with it.
  const asked = 'driver=nfs,node-name=nfs,server.type=inet,server.host=127.0.0.1,path=none';
  const words = ['-machine', 'none', '-nodefaults', '-display', 'none', '-blockdev', asked];
  try {
    await runCommand([qemu, ...words]);
    return undefined;
  } catch (error) {
    if (!/unknown driver/i.test(String(error))) return undefined;
    const what = `an NFS client of QEMU (for ${qemu})`;
    const hint = 'Run `npm run setup`, or install qemu-block-extra of the same version.';
    return godwitError('GODWIT_HOST_LACKS', { what }, { hint, cause: error });
  }
}

/** Starts it and waits until it serves. It ends as all processes in the lab's namespaces do. */
export async function startNfs(lab: Lab, signal: AbortSignal | undefined): Promise<void> {
  if (lab.storage !== 'nfs') return;
  const own = path.join(lab.dir, 'nfs');
  const log = path.join(own, 'ganesha.log');
  await mkdir(own, { recursive: true, mode: 0o700 });
  await writeFile(path.join(own, 'ganesha.conf'), CONFIGURATION, { mode: 0o600 });
  const words = [
    'unshare',
    '--mount',
    'sh',
    '-c',
    SCRIPT,
    'nfs',
    path.join(lab.dir, 'storage'),
    own,
  ];
  const started = await startDetached(inHost(lab, 'nfs', words), {
    logFile: path.join(own, 'start.log'),
    env: labEnvironment(lab),
  });
  await withDeadline('the NFS server', START_MS, signal, (inner) =>
    serves(started, own, log, inner),
  );
}

async function serves(
  started: ProcessIdentity,
  own: string,
  log: string,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const logText = await readFile(log, 'utf8').catch(() => '');
    if (logText.includes(READY)) return;
    if (!isAlive(started)) {
      const said = await readFile(path.join(own, 'start.log'), 'utf8').catch(() => '');
      const last = [...said.trim().split('\n').slice(-2), ...logText.trim().split('\n').slice(-1)];
      throw godwitError('GODWIT_LAB', {
        what: `the NFS server ended at once: ${last.join(' | ')}`,
      });
    }
    await systemClock.sleep(25, signal);
  }
}
