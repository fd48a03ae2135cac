import { readFile } from 'node:fs/promises';
import { refusal, warn } from '../../migration/preflight/check.ts';
import type { NamedCheck } from '../../migration/preflight/check.ts';
import { godwitError } from '../../errors.ts';
import { hugePagesOf, nodesOf } from './spec/host-memory.ts';
import type { GuestSpec } from './spec/schema.ts';

/** What a host has for guests whose memory is in huge pages, or bound to NUMA nodes. */

const HUGE_PAGES = '/sys/kernel/mm/hugepages';
const NODES_WITH_MEMORY = '/sys/devices/system/node/has_memory';
/** More than a kernel is built for. */
const MOST_NODES = 4096;
const MIB = 1024 ** 2;

/** Numbers of the NUMA nodes that have memory; none where the kernel does not say. */
export async function memoryNodes(): Promise<ReadonlySet<number>> {
  const text = await readFile(NODES_WITH_MEMORY, 'utf8').catch(() => '');
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

/** Whether this host has the huge pages, by what the kernel counts in `counts`, and the nodes on which the guest's memory is. */
export async function memoryChecks(
  spec: Pick<GuestSpec, 'objects'>,
  host: string,
  counts = HUGE_PAGES,
): Promise<NamedCheck[]> {
  const huge = [...hugePagesOf(spec.objects)].map(([bytes, pages]) =>
    hugeCheck(bytes, pages, counts),
  );
  const [short, here] = await Promise.all([Promise.all(huge), memoryNodes()]);
  const unbound = spec.objects.flatMap(({ id, props }) => {
    const wanted = nodesOf(props['host-nodes']);
    if (wanted.every((node) => here.has(node))) return [];
    const nodes = `memory node${wanted.length === 1 ? '' : 's'} ${wanted.join(', ')}`;
    const evidence = `${id} is bound to ${nodes}, which ${host} has not: it is bound to none there`;
    const hint = 'Nothing to do, unless the guest counts on how near its memory is.';
    return [warn('devices', evidence, hint, 'destination')];
  });
  return [...short.flat(), ...unbound];
}

async function hugeCheck(pageBytes: number, wanted: number, counts: string): Promise<NamedCheck[]> {
  const folder = `hugepages-${pageBytes / 1024}kB`;
  const read = async (name: string): Promise<number> =>
    Number(await readFile(`${counts}/${folder}/${name}`, 'utf8').catch(() => '0'));
  const [free, reserved] = await Promise.all([read('free_hugepages'), read('resv_hugepages')]);
  // Those reserved are still free, and promised to others.
  const left = Math.max(0, free - reserved);
  if (left >= wanted) return [];
  const size = pageBytes >= MIB ? `${pageBytes / MIB} MiB` : `${pageBytes / 1024} KiB`;
  const what = `${wanted} free huge pages of ${size} for the guest’s memory: it has ${left}`;
  const hint = `Set more aside there: add ${wanted - left} to ${HUGE_PAGES}/${folder}/nr_hugepages.`;
  return [refusal('memory', godwitError('GODWIT_HOST_LACKS', { what }, { hint }), 'destination')];
}
