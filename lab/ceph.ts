import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../src/clock.ts';
import { withDeadline } from '../src/deadline.ts';
import { godwitError } from '../src/errors.ts';
import { cacheDirectory } from '../src/system/files/cache-directory.ts';
import { isAlive, type ProcessIdentity } from '../src/system/processes/process.ts';
import { runCommand } from './command.ts';
import { inHost } from './entry.ts';
import { labEnvironment } from './environment.ts';
import { STORAGE_SERVER } from './plan.ts';
import { startDetached } from './processes.ts';
import { PASSABLE, type Lab } from './state.ts';

/** The lab's Ceph: a real one of one monitor and one OSD, in memory, with one pool for guests' disks. */

const START_MS = 60_000;
const ANSWER_MS = 60_000;
/** What the OSD keeps at most, in memory. */
const CEPH_BYTES = 4 * 1024 ** 3;

export const LAB_POOL = 'vms';
/** By whom hosts and guests use the pool. */
const LAB_RBD_USER = 'vm';
export const LAB_RBD_URL = `rbd:${LAB_POOL}`;

/** Ceph's own programs, where setup puts them; also the `rbd` that agents need. */
export function cephBin(): string {
  return path.join(cacheDirectory(), 'ceph', 'bin');
}

export function cephPrograms(): string[] {
  return ['ceph', 'ceph-authtool', 'ceph-mon', 'ceph-osd', 'monmaptool', 'rbd'].map(programOf);
}

function programOf(name: string): string {
  return path.join(cephBin(), name);
}

function at(lab: Pick<Lab, 'dir'>, name: string): string {
  return path.join(lab.dir, 'ceph', name);
}

/** What clients are given: where the cluster is, and a user's key. */
export function clientFiles(
  lab: Pick<Lab, 'dir'>,
  user = LAB_RBD_USER,
): { readonly user: string; readonly conf: string; readonly keyring: string } {
  return { user, conf: at(lab, 'ceph.conf'), keyring: at(lab, `client.${user}.keyring`) };
}

/** The command line that runs one of Ceph's own programs as the cluster's administrator. */
export function cephArgv(lab: Lab, program: string, words: readonly string[]): string[] {
  return inHost(lab, 'rbd', [programOf(program), '--conf', at(lab, 'cluster.conf'), ...words]);
}

export async function askCeph(lab: Lab, program: string, ...words: string[]): Promise<string> {
  return runCommand(cephArgv(lab, program, words), { deadlineMs: ANSWER_MS });
}

/** A user with rights as Ceph writes them. */
export async function addCephUser(
  lab: Lab,
  name: string,
  rights: readonly string[],
): Promise<void> {
  const { keyring } = clientFiles(lab, name);
  await askCeph(lab, 'ceph', 'auth', 'get-or-create', `client.${name}`, ...rights, '-o', keyring);
}

/** Starts it and waits until its pool is there. It ends as all processes in the lab's namespaces do. */
export async function startCeph(lab: Lab, signal: AbortSignal | undefined): Promise<void> {
  const fsid = randomUUID();
  await mkdir(at(lab, ''), { recursive: true, mode: PASSABLE });
  for (const name of ['run', 'mon', 'osd']) await mkdir(at(lab, name), { mode: 0o700 });
  await writeFile(at(lab, 'ceph.conf'), clientConfig(fsid), { mode: 0o644 });
  await writeFile(at(lab, 'cluster.conf'), clusterConfig(lab, fsid), { mode: 0o600 });
  await withDeadline('the Ceph', START_MS, signal, async (inner) => {
    await startMonitor(lab, fsid, inner);
    await startOsd(lab);
    await askCeph(lab, 'ceph', 'osd', 'pool', 'create', LAB_POOL, '8');
    await askCeph(lab, 'rbd', 'pool', 'init', LAB_POOL);
    const rights = ['mon', 'profile rbd', 'osd', `profile rbd pool=${LAB_POOL}`];
    await addCephUser(lab, LAB_RBD_USER, rights);
  });
}

async function startMonitor(lab: Lab, fsid: string, signal: AbortSignal): Promise<void> {
  const keys = at(lab, 'mon.keyring');
  const admin = at(lab, 'client.admin.keyring');
  const key = (file: string, name: string, ...rights: string[]): Promise<string> => {
    const caps = rights.flatMap((right) => ['--cap', right, 'allow *']);
    const words = ['--create-keyring', file, '--gen-key', '-n', name, ...caps];
    return runCommand([programOf('ceph-authtool'), ...words]);
  };
  await key(keys, 'mon.', 'mon');
  await key(admin, 'client.admin', 'mon', 'osd');
  await runCommand([programOf('ceph-authtool'), keys, '--import-keyring', admin]);
  const map = ['--create', '--fsid', fsid, '--addv', 'a', ADDRESSES, at(lab, 'monmap')];
  await runCommand([programOf('monmaptool'), ...map]);
  const made = ['--monmap', at(lab, 'monmap'), '--keyring', keys];
  await askCeph(lab, 'ceph-mon', '--mkfs', '-i', 'a', ...made);
  const monitor = await startDaemon(lab, 'ceph-mon', 'a');
  const answers = (): Promise<boolean> =>
    askCeph(lab, 'ceph', '--connect-timeout', '2', 'mon', 'stat').then(
      () => true,
      () => false,
    );
  while (!(await answers())) {
    if (!isAlive(monitor)) throw await endedAtOnce(lab, 'ceph-mon', 'mon.a');
    await systemClock.sleep(25, signal);
  }
}

async function startOsd(lab: Lab): Promise<void> {
  const uuid = randomUUID();
  await askCeph(lab, 'ceph', 'osd', 'new', uuid);
  const rights = ['mon', 'allow profile osd', 'osd', 'allow *'];
  const keyring = at(lab, 'osd.0.keyring');
  await askCeph(lab, 'ceph', 'auth', 'get-or-create', 'osd.0', ...rights, '-o', keyring);
  await askCeph(lab, 'ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', uuid);
  await startDaemon(lab, 'ceph-osd', '0');
}

async function startDaemon(lab: Lab, program: string, id: string): Promise<ProcessIdentity> {
  return startDetached(cephArgv(lab, program, ['-f', '-i', id]), {
    logFile: at(lab, `${program}.log`),
    env: labEnvironment(lab),
  });
}

async function endedAtOnce(lab: Lab, program: string, name: string): Promise<Error> {
  const logs = [at(lab, `${program}.log`), at(lab, `${name}.log`)];
  const texts = await Promise.all(logs.map((file) => readFile(file, 'utf8').catch(() => '')));
  const last = texts.map((text) => text.trim().split('\n').at(-1) ?? '').join(' | ');
  return godwitError('GODWIT_LAB', { what: `${program} ended at once: ${last.slice(0, 400)}` });
}

/** Brings a file into the pool as an image; only what is not zero takes room. */
export async function importImage(lab: Lab, file: string, image: string): Promise<void> {
  await askCeph(lab, 'rbd', 'import', '--no-progress', file, `${LAB_POOL}/${image}`);
}

/** What QEMU is given for an image. */
export function rbdName(lab: Pick<Lab, 'dir'>, image: string): string {
  const { user, conf, keyring } = clientFiles(lab);
  return `${LAB_RBD_URL}/${image}:id=${user}:conf=${conf}:keyring=${keyring}`;
}

/** Removes the images of a guest, whose QEMU has ended. */
export async function removeImages(lab: Lab, guest: string): Promise<void> {
  const names = await askCeph(lab, 'rbd', 'ls', LAB_POOL);
  const own = names.split('\n').filter((name) => name.replace(/-disk\d+$/, '') === guest);
  for (const image of own) {
    await askCeph(lab, 'rbd', 'rm', '--no-progress', `${LAB_POOL}/${image}`);
  }
}

const ADDRESSES = `[v2:${STORAGE_SERVER}:3300,v1:${STORAGE_SERVER}:6789]`;

function clientConfig(fsid: string): string {
  const mon = ADDRESSES.slice(1, -1);
  const lines = [`fsid=${fsid}`, `mon_host=${mon}`, 'auth_client_required=cephx'];
  return ['[global]', ...lines, ''].join('\n');
}

function clusterConfig(lab: Lab, fsid: string): string {
  const libraries = path.join(cacheDirectory(), 'ceph/usr/lib/x86_64-linux-gnu');
  const own = {
    auth_cluster_required: 'cephx',
    osd_pool_default_size: 1,
    osd_pool_default_min_size: 1,
    mon_allow_pool_size_one: true,
    osd_objectstore: 'memstore',
    memstore_device_bytes: CEPH_BYTES,
    plugin_dir: path.join(libraries, 'ceph'),
    erasure_code_dir: path.join(libraries, 'ceph/erasure-code'),
    osd_class_dir: path.join(libraries, 'rados-classes'),
    run_dir: at(lab, 'run'),
    admin_socket: at(lab, 'run/$name.asok'),
    log_file: at(lab, '$name.log'),
    keyring: at(lab, '$name.keyring'),
    mon_data: at(lab, 'mon'),
    osd_data: at(lab, 'osd'),
  };
  const lines = Object.entries(own).map(([key, value]) => `${key}=${value}\n`);
  return `${clientConfig(fsid)}${lines.join('')}`;
}
