import { readFile } from 'node:fs/promises';
import { refusal, warn, type NamedCheck } from '../../migration/preflight/check.ts';
import { godwitError } from '../../errors.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import {
  boundTo,
  hugePagesOf,
  nodesOf,
  type MemorySpec,
  type NodeBinding,
} from './spec/host-memory.ts';
import type { ObjectSpec } from './spec/schema.ts';

const HUGE_PAGES = '/sys/kernel/mm/hugepages';
const NODES = '/sys/devices/system/node';
const MAX_NODES = 4096;
const MIB = 1024 ** 2;

/** Numbers of the NUMA nodes with memory; empty if the kernel does not report them. */
export async function memoryNodes(folder = NODES): Promise<ReadonlySet<number>> {
  const text = await readFile(`${folder}/has_memory`, 'utf8').catch(() => '');
  return nodesIn(text.trim());
}

export function nodesIn(list: string): ReadonlySet<number> {
  const found = new Set<number>();
  for (const part of list === '' ? [] : list.split(',')) {
    const [first = 0, last = first] = part.split('-').map(Number);
    for (let each = first; each <= Math.min(last, MAX_NODES); each += 1) found.add(each);
  }
  return found;
}

export interface Counts {
  readonly hugePages: string;
  readonly nodes: string;
}

const COUNTS: Counts = { hugePages: HUGE_PAGES, nodes: NODES };

/** Checks that this host has the guest's huge pages and NUMA nodes, with enough free memory on them. */
export async function memoryChecks(
  { objects, devices }: MemorySpec,
  host: string,
  counts = COUNTS,
): Promise<NamedCheck[]> {
  const here = await memoryNodes(counts.nodes);
  const isHere = ({ props }: ObjectSpec): boolean =>
    nodesOf(props['host-nodes']).every((node) => here.has(node));
  const bound = boundTo({ objects: objects.filter(isHere), devices });
  const onNodes = await Promise.all(bound.map((each) => nodeShort(each, counts.nodes)));
  const tooFew = new Set(onNodes.flatMap((short) => short?.pageBytes ?? []));
  // A shortage on bound nodes is reported by the check of those nodes.
  const others = [...hugePagesOf({ objects, devices })].filter(([bytes]) => !tooFew.has(bytes));
  const onHost = await Promise.all(
    others.map(async ([bytes, pages]) =>
      pagesShort(bytes, pages, await freePages(counts.hugePages, bytes)),
    ),
  );
  const lacks = [...onNodes, ...onHost]
    .filter((each) => each !== undefined)
    .map(({ what, hint }) =>
      refusal('memory', godwitError('GODWIT_HOST_LACKS', { what }, { hint }), 'destination'),
    );
  const unbound = objects
    .filter((object) => !isHere(object))
    .map(({ id, props }) => {
      const evidence = `${id} is bound to ${nodeWords(nodesOf(props['host-nodes']))}, which ${host} has not: it is bound to none there`;
      const hint = 'Nothing to do, unless the guest counts on how near its memory is.';
      return warn('devices', evidence, hint, 'destination');
    });
  return [...lacks, ...unbound];
}

const nodeWords = (nodes: readonly number[]): string =>
  `memory node${nodes.length === 1 ? '' : 's'} ${nodes.join(', ')}`;

interface Short {
  readonly what: string;
  readonly hint: string;
  readonly pageBytes?: number;
}

function pagesShort(
  pageBytes: number,
  wanted: number,
  left: number,
  nodes?: readonly number[],
): Short | undefined {
  if (left >= wanted) return undefined;
  const size = pageBytes >= MIB ? `${pageBytes / MIB} MiB` : `${pageBytes / 1024} KiB`;
  const where = nodes === undefined ? '' : ` on ${nodeWords(nodes)}`;
  const what = `${wanted} free huge pages of ${size}${where} for the guest’s memory: it has ${left}`;
  const folders = nodes?.map((node) => `${NODES}/node${node}/hugepages`) ?? [HUGE_PAGES];
  const files = folders.map((each) => `${each}/${folderOf(pageBytes)}/nr_hugepages`);
  const hint = `Set more aside there: add ${wanted - left} to ${files.join(' or ')}.`;
  return { what, hint, pageBytes };
}

const folderOf = (pageBytes: number): string => `hugepages-${pageBytes / 1024}kB`;

/** Reserved pages count as free but are promised to others. The kernel does not count reserved pages per node. */
async function freePages(counts: string, pageBytes: number): Promise<number> {
  const read = async (name: string): Promise<number> =>
    Number(await readFile(`${counts}/${folderOf(pageBytes)}/${name}`, 'utf8').catch(() => '0'));
  const [free, reserved] = await Promise.all([read('free_hugepages'), read('resv_hugepages')]);
  return Math.max(0, free - reserved);
}

/**
 * Finds bound memory that cannot fit: at run time the shortage would kill the guest or another program. A node's
 * reserve is unknown, so only a certain shortage is refused.
 */
async function nodeShort(
  { nodes, bytes, pageBytes }: NodeBinding,
  counts: string,
): Promise<Short | undefined> {
  const folders = nodes.map((node) => `${counts}/node${node}`);
  if (pageBytes !== undefined) {
    const free = await Promise.all(
      folders.map((folder) => freePages(`${folder}/hugepages`, pageBytes)),
    );
    return pagesShort(pageBytes, Math.ceil(bytes / pageBytes), sum(free), nodes);
  }
  const left = sum(
    await Promise.all(
      folders.map(async (folder) =>
        availableIn(await readFile(`${folder}/meminfo`, 'utf8').catch(() => '')),
      ),
    ),
  );
  if (left >= bytes) return undefined;
  const what = `${formatBytes(bytes)} on ${nodeWords(nodes)} for the guest’s memory: ${formatBytes(left)} are free there`;
  const hint =
    'Free memory on these nodes, or choose another destination: the guest’s memory is bound to them (`host-nodes`, `policy=bind`).';
  return { what, hint };
}

const sum = (numbers: readonly number[]): number =>
  numbers.reduce((total, each) => total + each, 0);

/**
 * Memory that a node has free or can release at once, bytes, from its `meminfo` (lines begin with `Node 0`).
 * Infinity if it is not reported. Pure.
 */
export function availableIn(meminfo: string): number {
  const kib = (name: string): number =>
    Number(new RegExp(`\\s${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? 0);
  if (!/\sMemFree:/.test(meminfo)) return Infinity;
  const names = ['MemFree', 'Active\\(file\\)', 'Inactive\\(file\\)', 'SReclaimable'];
  return sum(names.map(kib)) * 1024;
}
