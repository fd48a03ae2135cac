import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../src/clock.ts';
import { withDeadline } from '../src/deadline.ts';
import { godwitError } from '../src/errors.ts';
import { inHost } from './entry.ts';
import { labEnvironment } from './environment.ts';
import { NFS_EXPORT, STORAGE_SERVER } from './plan.ts';
import { isAlive, type ProcessIdentity } from '../src/system/processes/process.ts';
import { startDetached } from './processes.ts';
import type { Lab } from './state.ts';

/** The lab's NFS server: nfs-ganesha with its portmapper, in a namespace that every host reaches. */

const START_MS = 30_000;
const READY = 'NFS SERVER INITIALIZED';
/** What it is made of. */
export const NFS_PROGRAMS = ['ganesha.nfsd', 'rpcbind', 'unshare', 'mount'];

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
export const LAB_NFS_URL = `nfs://${STORAGE_SERVER}${NFS_EXPORT}`;

/** Starts it and waits until it serves. It ends as all processes in the lab's namespaces do. */
export async function startNfs(lab: Lab, signal: AbortSignal | undefined): Promise<void> {
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
