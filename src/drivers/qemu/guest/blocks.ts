import path from 'node:path';
import { z } from 'zod';
import type { QmpClient } from '../qmp/client.ts';
import type {
  BlockFacts,
  BuiltInDrive,
  LiveDisk,
  LiveEdge,
  LiveNode,
  Qcow2Facts,
} from '../spec/disk-facts.ts';
import { getScalar } from './qom.ts';

const text = z.string().max(65_536);
const count = z.number().nonnegative();

const cache = z.object({ writeback: z.boolean(), direct: z.boolean(), 'no-flush': z.boolean() });

const node = z.object({
  'node-name': text.default(''),
  drv: text,
  file: text,
  ro: z.boolean(),
  encrypted: z.boolean().default(false),
  detect_zeroes: z.enum(['off', 'on', 'unmap']).default('off'),
  cache,
  iops: count.default(0),
  iops_rd: count.default(0),
  iops_wr: count.default(0),
  bps: count.default(0),
  bps_rd: count.default(0),
  bps_wr: count.default(0),
  image: z.object({
    'virtual-size': count,
    'actual-size': count.optional(),
    'backing-filename': text.optional(),
    'backing-filename-format': text.optional(),
    'cluster-size': count.optional(),
    snapshots: z.array(z.unknown()).max(65_536).default([]),
    'format-specific': z.object({ type: text, data: z.unknown() }).optional(),
  }),
  'dirty-bitmaps': z
    .array(z.object({ name: text.optional(), persistent: z.boolean().default(false) }))
    .max(4096)
    .default([]),
});

const qcow2 = z.object({
  compat: text,
  'refcount-bits': count,
  'lazy-refcounts': z.boolean().default(false),
  'extended-l2': z.boolean().default(false),
  'compression-type': text.default('zlib'),
  'data-file': text.optional(),
  bitmaps: z.array(z.unknown()).max(65_536).default([]),
});

const devices = z
  .array(z.object({ device: text.default(''), qdev: text.optional(), inserted: node.optional() }))
  .max(4096);
const nodes = z.array(node).max(16_384);
const graph = z.object({
  nodes: z.array(z.object({ id: z.number(), type: text, name: text })).max(65_536),
  edges: z.array(z.object({ parent: z.number(), child: z.number(), name: text })).max(65_536),
});
const jobs = z.array(z.object({ device: text, type: text })).max(4096);

/** Reads what a guest's disks are on. Changes nothing. */
export async function readBlocks(client: QmpClient, signal: AbortSignal): Promise<BlockFacts> {
  const [seen, all, drawn, atWork] = await Promise.all([
    client.query('query-block', {}, devices, signal),
    client.query('query-named-block-nodes', { flat: true }, nodes, signal),
    // Its name says that it may change; it has not since 4.0, and nothing else names who is on whom before 10.1.
    client.query('x-debug-query-block-graph', {}, graph, signal),
    client.query('query-block-jobs', {}, jobs, signal),
  ]);
  return {
    disks: await Promise.all(seen.map((each) => liveDisk(client, each, signal))),
    nodes: all.map(liveNode),
    edges: edgesOf(drawn),
    jobs: atWork.map(({ device, type }) => `${type} ${device}`.trim()),
  };
}

async function liveDisk(
  client: QmpClient,
  { device, qdev, inserted }: z.infer<typeof devices>[number],
  signal: AbortSignal,
): Promise<LiveDisk> {
  const limits = [inserted?.iops, inserted?.iops_rd, inserted?.iops_wr, inserted?.bps];
  return {
    drive: device,
    qdev,
    root: inserted?.['node-name'],
    writeCache: inserted?.cache.writeback ?? true,
    limited: [...limits, inserted?.bps_rd, inserted?.bps_wr].some((each) => (each ?? 0) > 0),
    builtIn: qdev?.startsWith('/machine/unattached/')
      ? await builtIn(client, qdev, signal)
      : undefined,
  };
}

async function builtIn(
  client: QmpClient,
  qdev: string,
  signal: AbortSignal,
): Promise<BuiltInDrive> {
  const [type, bus, unit] = await Promise.all(
    ['type', 'parent_bus', 'unit'].map((property) => getScalar(client, qdev, property, signal)),
  );
  return {
    type: typeof type === 'string' ? type : '',
    bus: typeof bus === 'string' && bus !== '' ? path.posix.basename(bus) : undefined,
    unit: typeof unit === 'number' ? unit : undefined,
  };
}

function liveNode(each: z.infer<typeof node>): LiveNode {
  const { image } = each;
  const hasBacking = image['backing-filename'] !== undefined;
  return {
    name: each['node-name'],
    driver: each.drv,
    file: each.file,
    readOnly: each.ro,
    direct: each.cache.direct,
    noFlush: each.cache['no-flush'],
    detectZeroes: each.detect_zeroes,
    encrypted: each.encrypted,
    bytes: image['virtual-size'],
    allocatedBytes: image['actual-size'],
    backing: hasBacking ? { format: image['backing-filename-format'] } : undefined,
    volatileBitmaps: each['dirty-bitmaps'].filter(({ persistent }) => !persistent).length,
    snapshots: image.snapshots.length,
    qcow2: each.drv === 'qcow2' ? qcow2Facts(image) : undefined,
  };
}

function qcow2Facts(image: z.infer<typeof node>['image']): Qcow2Facts | undefined {
  const parsed = qcow2.safeParse(image['format-specific']?.data);
  const clusterBytes = image['cluster-size'];
  if (!parsed.success || clusterBytes === undefined) return undefined;
  const { data } = parsed;
  return {
    clusterBytes,
    compat: data.compat,
    refcountBits: data['refcount-bits'],
    lazyRefcounts: data['lazy-refcounts'],
    extendedL2: data['extended-l2'],
    compression: data['compression-type'],
    dataFile: data['data-file'] !== undefined,
    bitmaps: data.bitmaps.length,
  };
}

function edgesOf(drawn: z.infer<typeof graph>): LiveEdge[] {
  const names = new Map(
    drawn.nodes.filter(({ type }) => type === 'block-driver').map(({ id, name }) => [id, name]),
  );
  return drawn.edges.flatMap(({ parent, child, name: role }) => {
    const above = names.get(parent);
    const below = names.get(child);
    return above === undefined || below === undefined
      ? []
      : [{ parent: above, child: below, role }];
  });
}
