import { readFile } from 'node:fs/promises';
import { refusal, warn } from '../../migration/preflight/check.ts';
import type { NamedCheck } from '../../migration/preflight/check.ts';
import { godwitError } from '../../errors.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { boundTo, hugePagesOf, nodesOf } from './spec/host-memory.ts';
import type { Bound } from './spec/host-memory.ts';
import type { GuestSpec, ObjectSpec } from './spec/schema.ts';

/** What a host has for guests whose memory is in huge pages, or bound to NUMA nodes. */

const HUGE_PAGES = '/sys/kernel/mm/hugepages';
const NODES = '/sys/devices/system/node';
/** More than a kernel is built for. */
const MOST_NODES = 4096;
const MIB = 1024 ** 2;

/** Numbers of the NUMA nodes that have memory; none where the kernel does not say. */
export async function memoryNodes(folder = NODES): Promise<ReadonlySet<number>> {
  const text = await readFile(`${folder}/has_memory`, 'utf8').catch(() => '');
  return nodesIn(text.trim());
}

/** Of the kernel's list: `0-1,4`. Pure. */
export function nodesIn(list: string): ReadonlySet<number> {
  const found = new Set<number>();
  for (const part of list === '' ? [] : list.split(',')) {
    const [first = 0, last = first] = part.split('-').map(Number);
    for (let each = first; each <= Math.min(last, MOST_NODES); each += 1) found.add(each);
  }
  return found;
}

/** Where the kernel counts huge pages of all nodes, and memory by node. */
export interface Counts {
  readonly hugePages: string;
  readonly nodes: string;
}

const COUNTS: Counts = { hugePages: HUGE_PAGES, nodes: NODES };

/** Whether this host has the huge pages, and the nodes on which the guest's memory is, with room for what is bound to them. */
export async function memoryChecks(
  spec: Pick<GuestSpec, 'objects'>,
  host: string,
  counts = COUNTS,
): Promise<NamedCheck[]> {
  const here = await memoryNodes(counts.nodes);
  const isHere = ({ props }: ObjectSpec): boolean =>
    nodesOf(props['host-nodes']).every((node) => here.has(node));
  const huge = [...hugePagesOf(spec.objects)].map(async ([bytes, pages]) =>
    shortOf(bytes, pages, await freePages(counts.hugePages, bytes)),
  );
  const bound = boundTo(spec.objects.filter(isHere)).map((each) => nodeShort(each, counts.nodes));
  const unbound = spec.objects
    .filter((object) => !isHere(object))
    .map(({ id, props }) => {
      const evidence = `${id} is bound to ${nodeWords(nodesOf(props['host-nodes']))}, which ${host} has not: it is bound to none there`;
      const hint = 'Nothing to do, unless the guest counts on how near its memory is.';
      return warn('devices', evidence, hint, 'destination');
    });
  return [...(await Promise.all([...huge, ...bound])).flat(), ...unbound];
}

const nodeWords = (nodes: readonly number[]): string =>
  `memory node${nodes.length === 1 ? '' : 's'} ${nodes.join(', ')}`;

function shortOf(pageBytes: number, wanted: number, left: number, where = ''): NamedCheck[] {
  if (left >= wanted) return [];
  const size = pageBytes >= MIB ? `${pageBytes / MIB} MiB` : `${pageBytes / 1024} KiB`;
  const what = `${wanted} free huge pages of ${size}${where} for the guest’s memory: it has ${left}`;
  const files = where === '' ? HUGE_PAGES : `${NODES}/nodeN/hugepages`;
  const hint = `Set more aside there: add ${wanted - left} to ${files}/${folderOf(pageBytes)}/nr_hugepages.`;
  return [refusal('memory', godwitError('GODWIT_HOST_LACKS', { what }, { hint }), 'destination')];
}

const folderOf = (pageBytes: number): string => `hugepages-${pageBytes / 1024}kB`;

/** Those reserved are still free, and promised to others; of one node alone the kernel does not count them. */
async function freePages(counts: string, pageBytes: number): Promise<number> {
  const read = async (name: string): Promise<number> =>
    Number(await readFile(`${counts}/${folderOf(pageBytes)}/${name}`, 'utf8').catch(() => '0'));
  const [free, reserved] = await Promise.all([read('free_hugepages'), read('resv_hugepages')]);
  return Math.max(0, free - reserved);
}

/** Memory that is bound to nodes has to lie there: what does not find room takes its guest, or another program, with it. */
async function nodeShort(
  { nodes, bytes, pageBytes }: Bound,
  counts: string,
): Promise<NamedCheck[]> {
  const where = ` on ${nodeWords(nodes)}`;
  const folders = nodes.map((node) => `${counts}/node${node}`);
  if (pageBytes !== undefined) {
    const free = await Promise.all(
      folders.map((folder) => freePages(`${folder}/hugepages`, pageBytes)),
    );
    return shortOf(pageBytes, Math.ceil(bytes / pageBytes), sum(free), where);
  }
  const texts = await Promise.all(
    folders.map((folder) => readFile(`${folder}/meminfo`, 'utf8').catch(() => undefined)),
  );
  const read = texts.filter((text) => text !== undefined);
  // Where the kernel does not say, nothing is claimed.
  const left = read.length < texts.length ? Infinity : sum(read.map(availableIn));
  if (left >= bytes) return [];
  const what = `${formatBytes(bytes)}${where} for the guest’s memory: ${formatBytes(left)} are free there`;
  const hint =
    'Free memory on these nodes, or choose another destination: the guest’s memory is bound to them (`host-nodes`, `policy=bind`).';
  return [refusal('memory', godwitError('GODWIT_HOST_LACKS', { what }, { hint }), 'destination')];
}

const sum = (numbers: readonly number[]): number =>
  numbers.reduce((total, each) => total + each, 0);

/** What a node has free, or gives up at once, bytes: of its `meminfo`, whose lines begin with `Node 0`. Pure. */
export function availableIn(meminfo: string): number {
  const kib = (name: string): number =>
    Number(new RegExp(`\\s${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? 0);
  const names = ['MemFree', 'Active\\(file\\)', 'Inactive\\(file\\)', 'SReclaimable'];
  return sum(names.map(kib)) * 1024;
}
