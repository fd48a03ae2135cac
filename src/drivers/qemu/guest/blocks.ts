import path from 'node:path';
import { z } from 'zod';
import { defined } from '../../../protocol/defined.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import type {
  BlockFacts,
  BuiltInDrive,
  Limits,
  LiveDisk,
  LiveEdge,
  LiveGroup,
  LiveNode,
  Qcow2Facts,
} from '../spec/disks/disk-facts.ts';
import { plainName } from '../spec/network-name.ts';
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
  group: text.optional(),
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
  encrypt: z.object({ format: text }).optional(),
  bitmaps: z.array(z.unknown()).max(65_536).default([]),
});

const devices = z
  .array(
    z.object({
      device: text.default(''),
      qdev: text.optional(),
      inserted: node.loose().optional(),
    }),
  )
  .max(4096);
const nodes = z.array(node).max(16_384);
const graph = z.object({
  nodes: z.array(z.object({ id: z.number(), type: text, name: text })).max(65_536),
  edges: z.array(z.object({ parent: z.number(), child: z.number(), name: text })).max(65_536),
});
const stats = z
  .array(
    z.object({
      'node-name': text.optional(),
      device: text.optional(),
      qdev: text.optional(),
      stats: z.object({ unmap_operations: count.default(0) }).optional(),
      'driver-specific': z
        .object({ 'discard-nb-ok': count.default(0), 'discard-nb-failed': count.default(0) })
        .optional(),
    }),
  )
  .max(16_384);
const limits = z.record(text, z.unknown());
const jobs = z.array(z.object({ device: text, type: text })).max(4096);

export async function readBlocks(client: QmpClient, signal: AbortSignal): Promise<BlockFacts> {
  const [seen, all, drawn, atWork, ofDevices, ofNodes, groups] = await Promise.all([
    client.query('query-block', {}, devices, signal),
    client.query('query-named-block-nodes', { flat: true }, nodes, signal),
    // The prefix `x-` says that it may change, but it has not since 4.0. No other query shows the graph's edges
    // before 10.1.
    client.query('x-debug-query-block-graph', {}, graph, signal),
    client.query('query-block-jobs', {}, jobs, signal),
    client.query('query-blockstats', {}, stats, signal),
    client.query('query-blockstats', { 'query-nodes': true }, stats, signal),
    readGroups(client, signal),
  ]);
  const discards = new Map(
    ofNodes.map((each) => {
      const reported = each['driver-specific'];
      const sum = (reported?.['discard-nb-ok'] ?? 0) + (reported?.['discard-nb-failed'] ?? 0);
      return [each['node-name'] ?? '', sum] as const;
    }),
  );
  const unmaps = (device: z.infer<typeof devices>[number]): number => {
    const own = ofDevices.find(
      (each) => (each.device ?? '') === device.device && each.qdev === device.qdev,
    );
    return own?.stats?.unmap_operations ?? 0;
  };
  return {
    disks: await Promise.all(
      seen.map(async (each) => ({
        ...(await liveDisk(client, each, signal)),
        unmaps: unmaps(each),
      })),
    ),
    nodes: all.map((each) => ({
      ...liveNode(each),
      ...(each.drv === 'file' ? { discards: discards.get(each['node-name']) ?? 0 } : {}),
    })),
    edges: edgesOf(drawn),
    jobs: atWork.map(({ device, type }) => `${type} ${device}`.trim()),
    groups,
  };
}

async function readGroups(client: QmpClient, signal: AbortSignal): Promise<LiveGroup[]> {
  const list = await client.query('qom-list', { path: '/objects' }, answers.qomList, signal);
  const found = list.filter(({ type }) => type === 'child<throttle-group>');
  return Promise.all(
    found.map(async ({ name: id }) => {
      const asked = { path: `/objects/${id}`, property: 'limits' };
      const reported = await client.query('qom-get', asked, limits, signal);
      return { id, limits: limitsOf(reported) };
    }),
  );
}

/** Omits limits without effect: zero, and a burst of one second. Pure. */
function limitsOf(reported: Readonly<Record<string, unknown>>): Limits {
  return Object.fromEntries(
    Object.entries(reported).flatMap(([name, value]) => {
      if (typeof value !== 'number' || value === 0) return [];
      return name.endsWith('-max-length') && value === 1 ? [] : [[name, value]];
    }),
  );
}

/** Converts `bps_rd_max_length` to the object property `bps-read-max-length`. Pure. */
function limitName(name: string): string {
  return name
    .replace(/^(bps|iops)(_max|_max_length)?$/, '$1-total$2')
    .replace('_rd', '-read')
    .replace('_wr', '-write')
    .replaceAll('_', '-');
}

async function liveDisk(
  client: QmpClient,
  { device, qdev, inserted }: z.infer<typeof devices>[number],
  signal: AbortSignal,
): Promise<LiveDisk> {
  const reported = Object.entries(inserted ?? {}).filter(([name]) => /^(bps|iops)(_|$)/.test(name));
  const held = limitsOf(
    Object.fromEntries(reported.map(([name, value]) => [limitName(name), value])),
  );
  const isLimited = Object.keys(held).length > 0;
  return {
    drive: device,
    qdev,
    root: inserted?.['node-name'],
    writeCache: inserted?.cache.writeback ?? true,
    ...(isLimited ? { limits: held, group: inserted?.group ?? device } : {}),
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
    file: plainName(each.file),
    readOnly: each.ro,
    direct: each.cache.direct,
    noFlush: each.cache['no-flush'],
    detectZeroes: each.detect_zeroes,
    encrypted: each.encrypted,
    bytes: image['virtual-size'],
    // QEMU reports 0 for a device and nothing for a LUN.
    allocatedBytes: each.drv === 'host_device' ? undefined : image['actual-size'],
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
    ...defined({ encryption: data.encrypt?.format }),
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
