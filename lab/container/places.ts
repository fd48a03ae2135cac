import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from '../command.ts';
import { labEnvironment } from '../environment.ts';
import { namespaceOf } from '../plan.ts';
import { startDetached } from '../processes.ts';
import { storageDirectory, type Lab } from '../state.ts';
import { layerDirectory } from './layer.ts';
import { labRunc } from './launch.ts';

/** Where a lab's containers are on a host, and how all of them go. */

export function runcRoot(stateDir: string): string {
  return path.join(stateDir, 'runc');
}

/** Where the volumes of a host's containers lie. */
export function volumeDirectory(stateDir: string): string {
  return path.join(stateDir, 'volumes');
}

/** Where volumes lie that all hosts see, below a lab's own storage. */
export function sharedVolumeDirectory(lab: Lab): string {
  return path.join(storageDirectory(lab, lab.hosts[0] ?? ''), 'volumes');
}

export function containerNetns(lab: string, name: string): string {
  return `${lab}-box-${name}`;
}

/** The section `drivers.criu` of a host's configuration. */
export interface ContainerDriver {
  readonly root: string;
  readonly layerDirs: readonly string[];
  /** None: all hosts of a lab see those of its machine. */
  readonly otherRoots: readonly string[];
  readonly volumeDirs: readonly string[];
  readonly mountsOf: number;
}

/**
 * `ip netns exec` hides the cgroups from the agents: a process of the lab that keeps this one's mounts leads to them. It is
 * in a namespace of the lab, so it goes with it.
 */
export async function keepMounts(lab: Lab): Promise<(stateDir: string) => ContainerDriver> {
  const namespace = namespaceOf(lab.name, 'client');
  const keeper = await startDetached(
    ['nsenter', `--net=/run/netns/${namespace}`, 'sleep', 'infinity'],
    { logFile: path.join(lab.dir, 'mounts.log'), env: labEnvironment(lab) },
  );
  return (stateDir) => ({
    root: runcRoot(stateDir),
    layerDirs: [layerDirectory()],
    otherRoots: [],
    volumeDirs: [volumeDirectory(stateDir), sharedVolumeDirectory(lab)],
    mountsOf: keeper.pid,
  });
}

/**
 * Ends every container of a lab's hosts, with its mounts and namespaces, and unmounts what else is mounted below the lab's
 * directory; before that goes. In this order: the records name the namespaces, and may lie on one of those mounts.
 */
export async function removeContainers(lab: string, dir: string): Promise<void> {
  const hosts = await readdir(path.join(dir, 'hosts')).catch(() => []);
  const states = hosts.map((host) => path.join(dir, 'hosts', host, 'state'));
  const used = states.filter((each) => existsSync(runcRoot(each)));
  const own = new Set<string>();
  for (const stateDir of used) {
    const names = await labRunc(runcRoot(stateDir), ['list', '-q']).catch(() => '');
    for (const name of names.split('\n').filter((each) => each !== '')) {
      await labRunc(runcRoot(stateDir), ['delete', '--force', name]).catch(() => undefined);
    }
    for (const netns of await namespacesIn(path.join(stateDir, 'containers'))) own.add(netns);
  }
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((at) => at.startsWith(`${dir}/`));
  for (const at of mounts.toReversed()) await runCommand(['umount', '-l', at]);
  if (used.length === 0) return;
  const there = (await runCommand(['ip', 'netns', 'list'])).split('\n');
  for (const netns of there.map((line) => line.split(' ')[0] ?? '')) {
    if (!own.has(netns) && !netns.startsWith(containerNetns(lab, ''))) continue;
    await runCommand(['ip', 'netns', 'delete', netns]);
  }
}

/** The namespaces that migrations made for containers, by their records. */
async function namespacesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  const texts = await Promise.all(
    names.map((name) =>
      readFile(path.join(directory, name, 'record.json'), 'utf8').catch(() => ''),
    ),
  );
  return texts.flatMap((text) => /"netns":"(godwit-[0-9a-f]+)"/.exec(text)?.[1] ?? []);
}
