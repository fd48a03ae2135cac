import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { startTicksOf } from '../../../system/processes/process.ts';
import { guestName } from '../../../protocol/names.ts';
import { nameByConmon } from '../podman/processes.ts';
import { nameAmongHosts, SHORT } from './container-names.ts';

/**
 * Containers of runc and crun that Docker, containerd, CRI-O or podman manages. They are read from the runtimes'
 * files, without queries that could block a list. They are listed but do not move: their managers would restart
 * them here and would not find them on another host.
 */

export interface ManagedContainer {
  readonly id: string;
  readonly name: string;
  readonly pid: number;
  readonly manager: string;
  readonly podman?: { readonly runtime: 'runc' | 'crun'; readonly bundle: string };
}

const MAX_CONTAINERS = 2000;
const MAX_BYTES = 1024 ** 2;
const MAX_MANAGER = 128;

const ofRunc = z.object({
  id: z.string(),
  init_process_pid: z.number().int().positive(),
  init_process_start: z.number().int(),
  config: z.object({ labels: z.array(z.string()).nullish() }),
});
const ofCrun = z.object({
  pid: z.number().int().positive(),
  'process-start-time': z.number().int(),
  bundle: z.string(),
});
const ofBundle = z.object({ annotations: z.record(z.string(), z.string()).nullish() });
const ofDocker = z.object({ Name: z.string() });

export type Labels = Readonly<Record<string, string>>;

interface RuntimeContainer {
  readonly id: string;
  readonly pid: number;
  readonly labels: Labels;
  readonly runtime: 'runc' | 'crun';
  readonly bundle: string;
}

/** Manager of a container, by its labels or by the place of its runtime's files. Pure. */
export function managerOf(labels: Labels, root: string): string | undefined {
  const keys = Object.keys(labels);
  const has = (start: string): boolean => keys.some((each) => each.startsWith(start));
  if (has('io.kubernetes.cri-o.')) return 'CRI-O';
  if (has('io.kubernetes.cri.') || has('nerdctl/')) return 'containerd';
  if (labels['io.container.manager'] === 'libpod' || has('io.podman.')) return 'podman';
  const parts = root.split('/');
  return ['docker', 'containerd', 'crun'].find((each) => parts.includes(each));
}

/** Pause container of a pod's namespaces, which runs no program. Pure. */
export const isSandbox = (labels: Labels): boolean =>
  ['io.kubernetes.cri.container-type', 'io.kubernetes.cri-o.ContainerType'].some(
    (each) => labels[each] === 'sandbox',
  );

const NAMES = ['io.kubernetes.cri.container-name', 'io.kubernetes.container.name', 'nerdctl/name'];
const PODS = ['io.kubernetes.cri.sandbox-name', 'io.kubernetes.pod.name'];
const first = (labels: Labels, keys: readonly string[]): string | undefined =>
  keys.map((each) => labels[each]).find((each) => each !== undefined && each !== '');

const isPodman = (manager: string, id: string): boolean =>
  manager === 'podman' && /^[0-9a-f]{64}$/.test(id);

export function named(
  all: readonly (RuntimeContainer & {
    readonly manager: string;
    readonly called: string | undefined;
  })[],
  taken: ReadonlySet<string>,
): ManagedContainer[] {
  const nameOf = ({ id, called }: (typeof all)[number]): string =>
    (called === undefined || called === '' ? undefined : nameAmongHosts(called, id)) ??
    (guestName.safeParse(id).success ? id : id.slice(0, SHORT));
  const names = all.map(nameOf);
  return all.flatMap(({ id, pid, labels, manager, runtime, bundle }, at) => {
    const called = names[at] ?? '';
    const isShared =
      taken.has(called) || names.some((each, other) => each === called && other !== at);
    const name = isShared ? nameAmongHosts(called, id) : called;
    if (name === undefined || !guestName.safeParse(name).success) return [];
    const pod = first(labels, PODS);
    const words = pod === undefined ? manager : `${manager}, in the pod ${pod}`;
    const own = { id, name, pid, manager: words.slice(0, MAX_MANAGER) };
    return [isPodman(manager, id) ? { ...own, podman: { runtime, bundle } } : own];
  });
}

interface Places {
  /** Prefix for paths in the containers' mount namespace. */
  readonly prefix: string;
  /** runc's state directory for Godwit's containers: a container there without a manager is not managed. */
  readonly root: string;
  readonly otherRoots: readonly string[];
}

/** Running containers. Unreadable entries are skipped, because they may be just being created or removed. */
export async function managedContainers(
  { prefix, root, otherRoots }: Places,
  taken: ReadonlySet<string>,
  most = MAX_CONTAINERS,
): Promise<ManagedContainer[]> {
  const places = [root, ...otherRoots.filter((each) => each !== root)];
  const directories: { readonly at: string; readonly place: string }[] = [];
  for (const place of places)
    for (const at of await statesIn(`${prefix}${place}`)) directories.push({ at, place });
  const found = await Promise.all(
    directories.slice(0, most).map(async ({ at, place }) => {
      const seen = await containerIn(at, prefix);
      if (seen === undefined || isSandbox(seen.labels)) return [];
      // A container with a valid name in runc's own directory is Godwit's to move.
      const isOwn = at.startsWith(`${prefix}${root}/`);
      if (isOwn && guestName.safeParse(seen.id).success) return [];
      const manager = managerOf(seen.labels, isOwn ? '' : place);
      if (manager === undefined || (isOwn && place !== root)) return [];
      const byConmon = manager === 'podman' ? nameByConmon(seen.pid, seen.id) : undefined;
      const called =
        byConmon ?? first(seen.labels, NAMES) ?? (await dockerName(seen.id, manager, prefix));
      return [{ ...seen, manager, called }];
    }),
  );
  return named(found.flat(), taken);
}

/** Container directories in a state directory, or below it in one per containerd namespace. */
async function statesIn(directory: string, depth = 0): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  if (entries.some(({ name }) => name === 'state.json' || name === 'status')) return [directory];
  if (depth === 2) return [];
  const below = entries.filter((each) => each.isDirectory()).slice(0, MAX_CONTAINERS);
  const found = await Promise.all(
    below.map(({ name }) => statesIn(path.join(directory, name), depth + 1)),
  );
  return found.flat();
}

async function containerIn(
  directory: string,
  prefix: string,
): Promise<RuntimeContainer | undefined> {
  const runc = ofRunc.safeParse(await jsonIn(path.join(directory, 'state.json')));
  if (runc.success) {
    const { id, init_process_pid: pid, init_process_start: startTicks, config } = runc.data;
    const labels = (config.labels ?? []).map((each): [string, string] => {
      const at = each.indexOf('=');
      return [each.slice(0, at), each.slice(at + 1)];
    });
    if (startTicksOf(pid) !== startTicks) return undefined;
    const known: Labels = Object.fromEntries(labels);
    return { id, pid, labels: known, runtime: 'runc', bundle: known['bundle'] ?? '' };
  }
  const crun = ofCrun.safeParse(await jsonIn(path.join(directory, 'status')));
  if (!crun.success) return undefined;
  const { pid, 'process-start-time': startTicks, bundle } = crun.data;
  if (startTicksOf(pid) !== startTicks) return undefined;
  const config = ofBundle.safeParse(await jsonIn(path.join(`${prefix}${bundle}`, 'config.json')));
  const labels = config.success ? (config.data.annotations ?? {}) : {};
  return { id: path.basename(directory), pid, labels, runtime: 'crun', bundle };
}

/** Docker gives the runtime only an id. */
async function dockerName(
  id: string,
  manager: string,
  prefix: string,
): Promise<string | undefined> {
  if (manager !== 'docker') return undefined;
  const file = `${prefix}/var/lib/docker/containers/${path.basename(id)}/config.v2.json`;
  const read = ofDocker.safeParse(await jsonIn(file));
  return read.success ? read.data.Name.replace(/^\//, '') : undefined;
}

async function jsonIn(file: string): Promise<unknown> {
  try {
    const { size } = await stat(file);
    return size > MAX_BYTES ? undefined : (JSON.parse(await readFile(file, 'utf8')) as unknown);
  } catch {
    return undefined;
  }
}
