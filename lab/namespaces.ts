import { readFile, stat } from 'node:fs/promises';
import { runCommand } from './command.ts';
import { inLab, inNamespace, type LabEntry } from './entry.ts';
import { ovsEnvironment } from './openvswitch.ts';
import { isNamespaceOf, namespaceOf } from './plan.ts';
import { isAlive } from '../src/system/processes/process.ts';
import { type LabProcess, processesInNamespaces } from './processes.ts';
import type { Lab } from './state.ts';

const QUIET_IPV6 = ['all', 'default']
  .map((name) => `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`)
  .map((file) => `[ ! -w ${file} ] || echo 1 >${file}`)
  .join('\n');

const SET = 'for line; do echo "${line#*=}" >"/proc/sys/net/${line%%=*}" || exit 1; done';

/** Makes the named namespaces and returns their inode numbers. */
export async function makeNamespaces(
  entry: LabEntry,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Record<string, number>> {
  await runCommand(inLab(entry, ['ip', '-batch', '-']), {
    input: names.map((name) => `netns add ${name}\n`).join(''),
    signal,
  });
  await Promise.all(
    names.map((name) => runCommand(inNamespace(entry, name, ['sh', '-c', QUIET_IPV6]), { signal })),
  );
  return namespaceInodes(entry, names);
}

/** Inode numbers of those of the named namespaces that exist. */
export async function namespaceInodes(
  entry: LabEntry,
  names: readonly string[],
): Promise<Record<string, number>> {
  const inodes: Record<string, number> = {};
  if (entry.kind === 'root') {
    for (const name of names) {
      const found = await stat(`/run/netns/${name}`).catch(() => undefined);
      if (found !== undefined) inodes[name] = found.ino;
    }
    return inodes;
  }
  const files = names.map((name) => `/run/netns/${name}`);
  const script = 'for f; do [ ! -e "$f" ] || stat -L -c "%i %n" "$f"; done';
  const output = await runCommand(inLab(entry, ['sh', '-c', script, 'inodes', ...files]));
  for (const line of output.split('\n')) {
    const [inode = '', file = ''] = line.split(' ');
    if (file !== '') inodes[file.slice('/run/netns/'.length)] = Number(inode);
  }
  return inodes;
}

export interface NetworkStep {
  /** `sysctl`: lines such as `ipv4/ip_forward=1`, below /proc/sys/net. `ovs-vsctl`: commands, in one transaction. */
  readonly tool: 'ip' | 'bridge' | 'tc' | 'sysctl' | 'ovs-vsctl';
  readonly namespace: string;
  readonly lines: readonly string[];
}

/** Carries out the network's plan, step by step. */
export async function buildNetwork(
  lab: Pick<Lab, 'name' | 'dir' | 'entry' | 'network'>,
  steps: readonly NetworkStep[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { entry } = lab;
  for (const { tool, namespace, lines } of steps) {
    if (tool === 'ovs-vsctl') {
      const member = namespace.slice(namespaceOf(lab.name, '').length);
      const marks = Object.entries(ovsEnvironment(lab, member)).map(([key, to]) => `${key}=${to}`);
      const words = lines.flatMap((line) => ['--', ...line.split(' ')]);
      const argv = ['env', ...marks, tool, '--timeout=10', ...words];
      await runCommand(inNamespace(entry, namespace, argv), { signal });
      continue;
    }
    if (tool === 'sysctl') {
      await runCommand(inNamespace(entry, namespace, ['sh', '-c', SET, 'set', ...lines]), {
        signal,
      });
      continue;
    }
    const argv = inLab(entry, [tool, '-n', namespace, '-batch', '-']);
    await runCommand(argv, { input: lines.map((line) => `${line}\n`).join(''), signal });
  }
}

/** The namespaces of `lab` that exist by name, recorded or not. */
export async function existingNamespaces(entry: LabEntry, lab: string): Promise<string[]> {
  const output = await runCommand(inLab(entry, ['ip', 'netns', 'list']));
  return output
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => isNamespaceOf(lab, name));
}

export async function removeNamespaces(entry: LabEntry, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await runCommand(inLab(entry, ['ip', '-batch', '-']), {
    input: names.map((name) => `netns delete ${name}\n`).join(''),
  });
}

/** Whether the way into the lab still exists. */
export async function entryAlive(entry: LabEntry): Promise<boolean> {
  if (entry.kind === 'root') return true;
  return isAlive({ pid: entry.holderPid, startTicks: entry.holderStartTicks });
}

/**
 * The processes in the lab's namespaces. Where the namespaces' names are gone (a holder was killed)
 * an inode number may have been given to somebody else's namespace: then only processes count that
 * carry the lab's directory in their environment.
 */
export async function processesOf(
  dir: string,
  named: Readonly<Record<string, number>>,
  recorded: Readonly<Record<string, number>>,
): Promise<LabProcess[]> {
  const sure = new Set(Object.values(named));
  const likely = new Set([...sure, ...Object.values(recorded)]);
  const found = await processesInNamespaces(likely);
  const ours = await Promise.all(
    found.map(async (process) => {
      if (sure.has(process.networkNamespace)) return true;
      const environ = await readFile(`/proc/${process.pid}/environ`, 'utf8').catch(() => '');
      return environ.split('\0').includes(`GODWIT_LAB_HOME=${dir}`);
    }),
  );
  return found.filter((_process, index) => ours[index] === true);
}
