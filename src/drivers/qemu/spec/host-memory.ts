import { defined } from '../../../protocol/defined.ts';
import type { HostMemory, LiveObject } from './facts.ts';
import { changed, unmovable, type Finding } from './findings.ts';
import { takenBy } from './grammar/amounts.ts';
import { switchValue, type Scalar } from './options.ts';
import type { GuestSpec, ObjectSpec } from './schema.ts';

type Props = Readonly<Record<string, Scalar>>;

/** Kernel's normal page; an administrator reserves larger ones. */
const PLAIN_PAGE_BYTES = 4096;
/** File settings, which anonymous memory does not have. */
const OF_A_FILE = new Set(
  'mem-path align offset discard-data pmem readonly rom host-nodes policy'.split(' '),
);
const LASTING = /^(nvdimm|virtio-pmem)/;

interface BackendResult {
  readonly object?: ObjectSpec;
  readonly findings: readonly Finding[];
}

/**
 * Memory backend for the destination. A file becomes anonymous memory, shared or private and in huge pages as
 * before; the guest sees no difference. `user`: type of the device that uses it.
 */
export function memoryThere(
  live: LiveObject & { readonly memory: HostMemory },
  type: string,
  given: Props,
  user: string | undefined,
): BackendResult {
  const { id, memory, bytes } = live;
  const kept = Object.entries(given).filter(([key]) => !OF_A_FILE.has(key));
  const props: Record<string, Scalar> = {
    ...Object.fromEntries(kept.map(([key, value]) => [key, typed(value)])),
    ...defined({ size: bytes }),
    ...bindingOf(memory),
  };
  switch (type) {
    case 'memory-backend-ram':
      return { object: { type, id, props }, findings: [] };
    case 'memory-backend-memfd':
      return { object: { type, id, props: { ...props, ...hugePages(live) } }, findings: [] };
    case 'memory-backend-file':
      return fileThere(live, props, user);
    case 'memory-backend-shm':
      return refused(live, type, 'its memory is shared with processes of this host');
    default:
      return refused(live, type, 'Godwit does not know how to make it on another host');
  }
}

function fileThere(
  live: LiveObject & { readonly memory: HostMemory },
  props: Props,
  user: string | undefined,
): BackendResult {
  const { id, shared } = live;
  const { file } = live.memory;
  if (file?.lasts === true || LASTING.test(user ?? '')) {
    const reason = 'its memory lasts in a file of this host, which is not copied';
    return refused(live, 'memory-backend-file', reason);
  }
  const type = shared || hasHugePages(live) ? 'memory-backend-memfd' : 'memory-backend-ram';
  const object: ObjectSpec = { type, id, props: { ...props, ...hugePages(live), share: shared } };
  const isSeen = file?.isNamed === true && shared;
  const what = `is the file ${file?.path} here, and no file there`;
  return { object, findings: isSeen ? [changed(id, 'memory-backend-file', what)] : [] };
}

/** The source's page size is given explicitly, because hosts have different defaults. */
function hugePages(live: LiveObject): Record<string, Scalar> {
  if (!hasHugePages(live)) return {};
  return { hugetlb: true, hugetlbsize: live.memory?.pageBytes ?? 0 };
}

function typed(value: Scalar): Scalar {
  return switchValue(value) ?? (/^\d{1,15}$/.test(String(value)) ? Number(value) : value);
}

export function hasHugePages({ memory }: LiveObject): boolean {
  return (memory?.pageBytes ?? 0) > PLAIN_PAGE_BYTES;
}

function refused({ id }: LiveObject, type: string, reason: string): BackendResult {
  return { findings: [unmovable(id, type, reason)] };
}

function bindingOf({ policy, nodes = [] }: HostMemory): Record<string, Scalar> {
  if (policy === undefined || policy === 'default') return {};
  return { policy, ...(nodes.length === 0 ? {} : { 'host-nodes': nodes.join(',') }) };
}

export function nodesOf(list: Scalar | undefined): number[] {
  return list === undefined ? [] : String(list).split(',').map(Number);
}

/** Removes a binding to NUMA nodes that include one that this host lacks. */
export function boundHere(props: Props, here: ReadonlySet<number>): Props {
  if (nodesOf(props['host-nodes']).every((node) => here.has(node))) return props;
  const { policy: _policy, 'host-nodes': _nodes, ...rest } = props;
  return rest;
}

export type MemorySpec = Pick<GuestSpec, 'objects' | 'devices'>;

export function hugePagesOf({ objects, devices }: MemorySpec): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  for (const object of objects) {
    const pageBytes = hugePageOf(object);
    if (pageBytes === undefined) continue;
    const pages = Math.ceil(takenBy(object, devices) / pageBytes);
    found.set(pageBytes, (found.get(pageBytes) ?? 0) + pages);
  }
  return found;
}

function hugePageOf({ type, props }: ObjectSpec): number | undefined {
  if (type !== 'memory-backend-memfd' || props['hugetlb'] === undefined) return undefined;
  return Number(props['hugetlbsize'] ?? 0) || undefined;
}

export interface NodeBinding {
  readonly nodes: readonly number[];
  readonly bytes: number;
  readonly pageBytes?: number | undefined;
}

/**
 * Guest memory bound to nodes, by nodes and page size; other policies fall back to other nodes. Memory bound to
 * a subset of the nodes is included, and different sets are also counted together.
 */
export function boundTo({ objects, devices }: MemorySpec): NodeBinding[] {
  const parts = objects.flatMap((object): NodeBinding[] => {
    const { policy, 'host-nodes': list } = object.props;
    if (policy !== 'bind' || list === undefined) return [];
    const bytes = takenBy(object, devices);
    return [{ nodes: nodesOf(list), bytes, pageBytes: hugePageOf(object) }];
  });
  const places = new Map<string, NodeBinding>();
  for (const { nodes, pageBytes } of parts) {
    const beside = parts.filter((each) => each.pageBytes === pageBytes);
    for (const some of [nodes, beside.flatMap((each) => each.nodes)]) {
      const set = new Set(some.toSorted((left, right) => left - right));
      const bytes = beside
        .filter((each) => new Set(each.nodes).isSubsetOf(set))
        .reduce((sum, each) => sum + each.bytes, 0);
      const place = { nodes: [...set], bytes, pageBytes };
      places.set(`${place.nodes.join(',')} ${pageBytes}`, place);
    }
  }
  return [...places.values()];
}
