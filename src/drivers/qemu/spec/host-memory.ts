import { defined } from '../../../protocol/defined.ts';
import type { HostMemory, LiveObject } from './facts.ts';
import { changed, unmovable, type Finding } from './findings.ts';
import { takenBy } from './grammar/amounts.ts';
import { switchValue, type Scalar } from './options.ts';
import type { GuestSpec, ObjectSpec } from './schema.ts';

/** Memory of a guest by how its host keeps it: in files, in huge pages, on NUMA nodes. Pure. */

type Props = Readonly<Record<string, Scalar>>;

/** The kernel's own; larger pages are set aside by an administrator. */
const PLAIN_PAGE_BYTES = 4096;
/** Settings of a file that memory without a name has none of. */
const OF_A_FILE = new Set(
  'mem-path align offset discard-data pmem readonly rom host-nodes policy'.split(' '),
);
/** Devices whose memory is kept when the guest ends. */
const LASTING = /^(nvdimm|virtio-pmem)/;

interface BackendResult {
  readonly object?: ObjectSpec;
  readonly findings: readonly Finding[];
}

/**
 * What a memory backend becomes at the destination. One that is a file becomes memory without a name, shared or private
 * as before, in huge pages where it was on them: to the guest it is the same. `user`: the type of the device that has it.
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

/** Of the size that they have here, which is not what each host takes by itself. */
function hugePages(live: LiveObject): Record<string, Scalar> {
  if (!hasHugePages(live)) return {};
  return { hugetlb: true, hugetlbsize: live.memory?.pageBytes ?? 0 };
}

/** In one spelling, whichever it was given in. */
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

/** Memory that is bound to nodes of which this host lacks one is bound to none here. */
export function boundHere(props: Props, here: ReadonlySet<number>): Props {
  if (nodesOf(props['host-nodes']).every((node) => here.has(node))) return props;
  const { policy: _policy, 'host-nodes': _nodes, ...rest } = props;
  return rest;
}

/** What a guest has of memory backends, and which devices give it their memory. */
export type MemorySpec = Pick<GuestSpec, 'objects' | 'devices'>;

/** Huge pages that the guest takes, by the size of a page. */
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

/** Bytes; undefined: it is in plain pages. */
function hugePageOf({ type, props }: ObjectSpec): number | undefined {
  if (type !== 'memory-backend-memfd' || props['hugetlb'] === undefined) return undefined;
  return Number(props['hugetlbsize'] ?? 0) || undefined;
}

/** Memory that may lie on these nodes alone. */
export interface NodeBinding {
  readonly nodes: readonly number[];
  readonly bytes: number;
  /** Of its huge pages; absent: it is in plain ones. */
  readonly pageBytes?: number | undefined;
}

/**
 * What the guest binds to nodes, by the nodes and the size of a page: other policies take memory elsewhere where there is none.
 * What is bound to some of these nodes is counted with it, and all of it together where it is bound to different ones.
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
