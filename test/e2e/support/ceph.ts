import { execFile, execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../../src/host/cache-directory.ts';
import { inHost } from '../../../src/lab/entry.ts';
import type { Lab } from '../../../src/lab/state.ts';
import { labHost } from '../../../src/lab/state.ts';
import { until } from '../../until.ts';

const run = promisify(execFile);
const ROOT = path.join(import.meta.dirname, '../../..');
const TOP = path.join(cacheDirectory(), 'ceph');
const ANSWER_MS = 60_000;

/** A real Ceph of one monitor and one OSD, in memory, on a host of a lab. It ends with the lab's namespaces. */
export interface LabCeph {
  /** A user of one pool, with rights as Ceph writes them; gives its keyring's file. */
  user(name: string, caps: readonly string[]): Promise<string>;
  /** Of Ceph's own programs, as its administrator. */
  ask(program: string, ...words: string[]): Promise<string>;
  /** Has an image open until it is stopped. */
  watch(image: string): () => Promise<void>;
  /** Whether its monitor stands still. */
  freeze(frozen: boolean): void;
}

/** Brings Ceph where it is missing, and its `rbd` onto the PATH of what this process starts. */
export function setUpCeph(): void {
  const setup = path.join(ROOT, 'tools/setup.sh');
  execFileSync('bash', [setup, '--only', 'ceph'], { stdio: ['ignore', 2, 2] });
  process.env['PATH'] = `${path.join(TOP, 'bin')}:${process.env['PATH'] ?? ''}`;
}

/** What clients need to know: where the cluster is. */
export function clientConfig(address: string, fsid: string): string {
  return [
    '[global]',
    `fsid=${fsid}`,
    `mon_host=v2:${address}:3300,v1:${address}:6789`,
    'auth_client_required=cephx',
    '',
  ].join('\n');
}

export async function startCeph(
  lab: Lab,
  { host, dir, fsid }: { readonly host: string; readonly dir: string; readonly fsid: string },
): Promise<LabCeph> {
  const { address } = labHost(lab, host);
  const at = (name: string): string => path.join(dir, name);
  await mkdir(dir, { recursive: true });
  for (const name of ['run', 'mon', 'osd']) await mkdir(at(name));
  await writeFile(at('cluster.conf'), configOf(dir, address, fsid));
  const inside = (program: string, words: readonly string[]): [string, string[]] => {
    const argv = [path.join(TOP, 'bin', program), '--conf', at('cluster.conf'), ...words];
    const [first = '', ...rest] = inHost(lab, host, argv);
    return [first, rest];
  };
  const ask = async (program: string, ...words: string[]): Promise<string> =>
    (await run(...inside(program, words), { timeout: ANSWER_MS })).stdout;
  const start = (program: string, ...words: string[]): ChildProcess =>
    spawn(...inside(program, ['-f', ...words]), { stdio: 'ignore' });
  const tool = (...words: string[]) => run(path.join(TOP, 'bin/ceph-authtool'), words);
  await tool(
    '--create-keyring',
    at('mon.keyring'),
    '--gen-key',
    '-n',
    'mon.',
    '--cap',
    'mon',
    'allow *',
  );
  const admin = at('client.admin.keyring');
  const all = ['--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *'];
  await tool('--create-keyring', admin, '--gen-key', '-n', 'client.admin', ...all);
  await tool(at('mon.keyring'), '--import-keyring', admin);
  const addresses = `[v2:${address}:3300,v1:${address}:6789]`;
  const map = ['--create', '--fsid', fsid, '--addv', 'a', addresses, at('monmap')];
  await run(path.join(TOP, 'bin/monmaptool'), map);
  await ask(
    'ceph-mon',
    '--mkfs',
    '-i',
    'a',
    '--monmap',
    at('monmap'),
    '--keyring',
    at('mon.keyring'),
  );
  const monitor = start('ceph-mon', '-i', 'a');
  const osd = randomUUID();
  await until('the monitor to answer', ANSWER_MS, () =>
    ask('ceph', 'osd', 'new', osd).then(
      () => true,
      () => undefined,
    ),
  );
  const rights = ['mon', 'allow profile osd', 'osd', 'allow *'];
  await ask('ceph', 'auth', 'get-or-create', 'osd.0', ...rights, '-o', at('osd.0.keyring'));
  await ask('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', osd);
  start('ceph-osd', '-i', '0');
  await ask('ceph', 'osd', 'pool', 'create', 'vms', '8');
  await ask('rbd', 'pool', 'init', 'vms');
  return {
    ask,
    user: async (name, caps) => {
      const keyring = at(`client.${name}.keyring`);
      await ask('ceph', 'auth', 'get-or-create', `client.${name}`, ...caps, '-o', keyring);
      return keyring;
    },
    watch: (image) => {
      const watcher = spawn(...inside('rbd', ['watch', image]), {
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      const ended = once(watcher, 'exit');
      return async () => {
        watcher.stdin.end('\n');
        await ended;
      };
    },
    freeze: (frozen) => void monitor.kill(frozen ? 'SIGSTOP' : 'SIGCONT'),
  };
}

function configOf(dir: string, address: string, fsid: string): string {
  const libraries = path.join(TOP, 'usr/lib/x86_64-linux-gnu');
  const own = {
    auth_cluster_required: 'cephx',
    auth_service_required: 'cephx',
    osd_pool_default_size: 1,
    osd_pool_default_min_size: 1,
    mon_allow_pool_size_one: true,
    osd_objectstore: 'memstore',
    memstore_device_bytes: 1024 ** 3,
    plugin_dir: path.join(libraries, 'ceph'),
    erasure_code_dir: path.join(libraries, 'ceph/erasure-code'),
    osd_class_dir: path.join(libraries, 'rados-classes'),
    run_dir: path.join(dir, 'run'),
    admin_socket: path.join(dir, 'run/$name.asok'),
    log_file: path.join(dir, '$name.log'),
    keyring: path.join(dir, '$name.keyring'),
    mon_data: path.join(dir, 'mon'),
    osd_data: path.join(dir, 'osd'),
  };
  const lines = Object.entries(own).map(([key, value]) => `${key}=${value}\n`);
  return `${clientConfig(address, fsid)}${lines.join('')}`;
}
