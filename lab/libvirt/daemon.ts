import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { withDeadline } from '../../src/deadline.ts';
import { godwitError, type GodwitError } from '../../src/errors.ts';
import { isAlive, type ProcessIdentity } from '../../src/system/processes/process.ts';
import { defined } from '../../src/protocol/defined.ts';
import { runCommand } from '../command.ts';
import { labEnvironment, missingPrograms } from '../environment.ts';
import type { LabPlan } from '../plan.ts';
import { startDetached } from '../processes.ts';
import { labHost, type Lab, type LabHost } from '../state.ts';
import { amongMounts, makeMounts, ownTree } from './mounts.ts';
import { libvirtProgram } from './packages.ts';

/** A daemon of libvirt on each host of a lab. They reach each other by TLS, with the certificates of the lab's agents. */

const START_MS = 60_000;
const PROGRAMS = ['libvirtd', 'virsh', 'unshare', 'nsenter', 'bash'];
/** As hosts see it: where libvirt's pool of that name usually is. */
export const POOL = { name: 'default', directory: '/var/lib/libvirt/images' } as const;
/** Memory of guests arrives at these ports. */
const PORTS = { first: 49_152, last: 49_215 } as const;

/** With the user that Debian's libvirt wants to exist, also where it uses another. */
const USER = {
  'etc/passwd': 'libvirt-qemu:x:64055:64055::/:/bin/false',
  'etc/group': 'libvirt-qemu:x:64055:',
} as const;

/** Why a lab cannot have this manager here; undefined where it can. */
export async function managerLacks(
  { manager, network, storage }: Pick<LabPlan, 'manager' | 'network' | 'storage'>,
  uid = process.getuid?.(),
): Promise<GodwitError | undefined> {
  if (manager === undefined) return undefined;
  const wanted = 'a lab with --with libvirt';
  if (uid !== 0) {
    const needs = 'root: each host has mounts of its own';
    return godwitError('GODWIT_PRIVILEGE', { what: wanted, needs });
  }
  if (network !== undefined && network !== 'bridge' && network !== 'vxlan') {
    const hint = 'Choose --network bridge or vxlan: libvirt puts a guest on a bridge of its host.';
    return godwitError('GODWIT_USAGE', { what: `${wanted} and --network ${network}` }, { hint });
  }
  if (storage !== 'local') {
    const hint = 'Choose --storage local: each host has a pool of its own, and disks are copied.';
    const what = `${wanted} and --storage ${storage ?? 'shared'}`;
    return godwitError('GODWIT_USAGE', { what }, { hint });
  }
  const missing = await missingPrograms(PROGRAMS);
  if (missing.length === 0) return undefined;
  const hint =
    'Run `npm run setup`, or install libvirt-daemon, libvirt-daemon-driver-qemu and libvirt-clients; their services need not run.';
  return godwitError('GODWIT_HOST_LACKS', { what: `libvirt (${missing.join(', ')})` }, { hint });
}

/** Gives each host its mounts, its configuration and its daemon, and waits until all answer. */
export async function startManager(lab: Lab, signal: AbortSignal | undefined): Promise<void> {
  if (lab.manager === undefined) return;
  for (const [index, member] of lab.members.entries()) {
    await configure(member, index);
    await makeMounts(lab, member.name, signal);
  }
  await Promise.all(lab.hosts.map((host) => startLibvirtd(lab, host, signal)));
  for (const { name } of lab.members) await makePool(lab, name, signal);
}

/** Starts the daemon of one host; also one that was killed, whose guests have gone on. */
export async function startLibvirtd(
  lab: Lab,
  host: string,
  signal?: AbortSignal,
): Promise<ProcessIdentity> {
  const logFile = path.join(labHost(lab, host).dir, 'libvirtd.log');
  const program = libvirtProgram(lab.managerPackages, 'sbin', ['libvirtd', '--listen']);
  const argv = await amongMounts(lab, host, program);
  const started = await startDetached(argv, { logFile, env: labEnvironment(lab) });
  await withDeadline(`libvirtd of ${host}`, START_MS, signal, async (inner) => {
    while (!(await answers(lab, host))) {
      if (!isAlive(started)) throw await endedAtOnce(lab, host, logFile);
      await systemClock.sleep(50, inner);
    }
  });
  return started;
}

async function answers(lab: Lab, host: string): Promise<boolean> {
  return virsh(lab, host, ['version']).then(
    () => true,
    () => false,
  );
}

async function endedAtOnce(lab: Lab, host: string, logFile: string): Promise<Error> {
  const own = path.join(ownTree(labHost(lab, host)), 'var/log/libvirt/libvirtd.log');
  const texts = await Promise.all(
    [logFile, own].map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  const said = texts.map((text) => text.trim().split('\n').slice(-2).join(' | ')).join(' | ');
  return godwitError('GODWIT_LAB', { what: `libvirtd of ${host} ended at once: ${said}` });
}

/** The daemon's unix socket, as this machine sees it. */
export function libvirtSocket(host: Pick<LabHost, 'dir'>): string {
  return path.join(ownTree(host), 'run/libvirt/libvirt-sock');
}

/** libvirt's own client, as on that host. */
export function virsh(
  lab: Lab,
  host: string,
  words: readonly string[],
  { input, deadlineMs = 60_000 }: { readonly input?: string; readonly deadlineMs?: number } = {},
): Promise<string> {
  const uri = `qemu+unix:///system?socket=${libvirtSocket(labHost(lab, host))}`;
  const argv = libvirtProgram(lab.managerPackages, 'bin', ['virsh', '-q', '-c', uri, ...words]);
  return runCommand(argv, { deadlineMs, ...defined({ input }) });
}

async function makePool(lab: Lab, host: string, signal: AbortSignal | undefined): Promise<void> {
  const { name, directory } = POOL;
  const there = await virsh(lab, host, ['pool-list', '--all', '--name']);
  signal?.throwIfAborted();
  if (there.split('\n').some((each) => each.trim() === name)) return;
  await virsh(lab, host, ['pool-define-as', name, 'dir', '--target', directory]);
  await virsh(lab, host, ['pool-start', name, '--build']);
  await virsh(lab, host, ['pool-autostart', name]);
}

/** The section `drivers.libvirt` of a host's configuration: its daemon is at the usual place among its mounts. */
export function libvirtSection(lab: Lab, host: string): Record<string, unknown> {
  const own = labHost(lab, host);
  const { ca, cert, key } = certificates(own);
  const others = lab.members.filter(({ name }) => name !== host);
  return {
    hosts: Object.fromEntries(others.map((other) => [other.name, { uri: uriOf(own, other) }])),
    credentials: { ca, cert, key },
  };
}

/** As one host reaches the daemon of another. */
function uriOf(from: LabHost, { address }: LabHost): string {
  return `qemu+tls://${address}/system?pkipath=${certificates(from).directory}`;
}

/** By the names that libvirt's clients look for in a directory. */
function certificates(host: LabHost): Record<'directory' | 'ca' | 'cert' | 'key', string> {
  const directory = path.join(host.dir, 'libvirt-pki');
  const file = (name: string): string => path.join(directory, name);
  return {
    directory,
    ca: file('cacert.pem'),
    cert: file('clientcert.pem'),
    key: file('clientkey.pem'),
  };
}

async function configure(host: LabHost, index: number): Promise<void> {
  const tree = ownTree(host);
  for (const place of [
    'etc/libvirt',
    'run',
    'var/tmp',
    'var/lib',
    'var/log/libvirt',
    'var/cache',
  ]) {
    await mkdir(path.join(tree, place), { recursive: true });
  }
  await copyCertificates(host);
  const { directory, ca } = certificates(host);
  const daemon = {
    listen_tcp: 0,
    listen_tls: 1,
    listen_addr: host.address,
    ca_file: ca,
    cert_file: path.join(directory, 'server-cert.pem'),
    key_file: path.join(directory, 'server-key.pem'),
    auth_unix_rw: 'none',
    auth_unix_ro: 'none',
    host_uuid: `00000000-0000-4000-9000-${String(index + 1).padStart(12, '0')}`,
    log_outputs: '3:file:/var/log/libvirt/libvirtd.log',
  };
  const qemu = {
    user: 'root',
    group: 'root',
    dynamic_ownership: 0,
    remember_owner: 0,
    security_driver: 'none',
    cgroup_controllers: [],
    namespaces: [],
    stdio_handler: 'file',
    migration_address: host.address,
    migration_host: host.address,
    migration_port_min: PORTS.first,
    migration_port_max: PORTS.last,
    migrate_tls_x509_cert_dir: directory,
    migrate_tls_x509_verify: 1,
  };
  await writeFile(path.join(tree, 'etc/libvirt/libvirtd.conf'), settingsText(daemon));
  await writeFile(path.join(tree, 'etc/libvirt/qemu.conf'), settingsText(qemu));
  for (const [file, line] of Object.entries(USER)) {
    const text = await readFile(`/${file}`, 'utf8');
    const isThere = text.includes('libvirt-qemu:');
    await writeFile(path.join(tree, file), isThere ? text : `${text}${line}\n`);
  }
}

/** An agent's certificate serves its host's libvirt and QEMU too, by the names that each looks for. */
async function copyCertificates(host: LabHost): Promise<void> {
  const { directory } = certificates(host);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const names = {
    'ca.crt': ['cacert.pem', 'ca-cert.pem'],
    'host.crt': ['clientcert.pem', 'server-cert.pem', 'client-cert.pem'],
    'host.key': ['clientkey.pem', 'server-key.pem', 'client-key.pem'],
  } as const;
  for (const [from, to] of Object.entries(names)) {
    for (const name of to) {
      await copyFile(path.join(host.stateDir, 'pki', from), path.join(directory, name));
    }
  }
}

function settingsText(
  settings: Readonly<Record<string, string | number | readonly string[]>>,
): string {
  return Object.entries(settings)
    .map(([name, value]) => {
      const text =
        typeof value === 'string'
          ? `"${value}"`
          : typeof value === 'number'
            ? String(value)
            : `[ ${value.map((each) => `"${each}"`).join(', ')} ]`;
      return `${name} = ${text}\n`;
    })
    .join('');
}
