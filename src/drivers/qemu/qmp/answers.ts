import { z } from 'zod';

/** Parts of QEMU's answers that Godwit reads. Numbers beyond 2^53 are rounded; none of these is so large. */

const text = z.string().max(65_536);
const id = z.string().max(1024);
const count = z.number().nonnegative();

export const runStatus = z.object({ status: id, running: z.boolean() });

export const drives = z
  .array(z.object({ inserted: z.object({ 'node-name': text }).optional() }))
  .max(256);

export const exportIds = z.array(z.object({ id: text })).max(256);

export const yankInstances = z.array(z.object({ type: id })).max(256);

export const migrationState = z.object({
  status: id.optional(),
  'error-desc': text.optional(),
  'total-time': count.optional(),
  downtime: count.optional(),
  'expected-downtime': count.optional(),
  'postcopy-blocktime': count.optional(),
  'cpu-throttle-percentage': count.optional(),
  'blocked-reasons': z.array(text).max(256).optional(),
  'socket-address': z
    .array(z.object({ type: id, host: id.optional(), port: id.optional() }))
    .max(64)
    .optional(),
  ram: z
    .object({
      transferred: count,
      remaining: count,
      total: count,
      duplicate: count.default(0),
      skipped: count.default(0),
      normal: count.optional(),
      mbps: z.number().default(0),
      'dirty-pages-rate': count.default(0),
      'dirty-sync-count': count.default(0),
      'page-size': count.default(4096),
      'postcopy-requests': count.default(0),
    })
    .optional(),
});
export type MigrationState = z.infer<typeof migrationState>;

export const capabilityList = z.array(z.object({ capability: id, state: z.boolean() })).max(256);

export const parameters = z.record(id, z.unknown());

export const memoryBackends = z
  .array(
    z.object({
      id: id.optional(),
      policy: id,
      'host-nodes': z.array(count).max(4096),
    }),
  )
  .max(4096);

export const qomList = z.array(z.object({ name: id, type: id })).max(65_536);

export const cpus = z
  .array(
    z.object({
      'cpu-index': count,
      'qom-path': id,
      'thread-id': count.optional(),
      target: id.optional(),
    }),
  )
  .min(1)
  .max(4096);

export const hotpluggableCpus = z
  .array(z.object({ type: id, 'qom-path': id.optional() }))
  .max(8192);

export const memorySize = z.object({ 'base-memory': count, 'plugged-memory': count.default(0) });

export const kvm = z.object({ enabled: z.boolean(), present: z.boolean() });

export const uuid = z.object({ UUID: id });

export const name = z.object({ name: id.optional() });

export const chardevs = z.array(z.object({ label: id, filename: text })).max(4096);

export const cpuModel = z.object({
  model: z.object({ name: id, props: z.record(id, z.unknown()) }),
});

export const cpuDefinitions = z
  .array(z.object({ name: id, 'unavailable-features': z.array(id).max(4096).optional() }))
  .max(4096);

export const featureWords = z
  .array(
    z.object({
      'cpuid-input-eax': count,
      'cpuid-input-ecx': count.optional(),
      'cpuid-register': id,
      features: count,
    }),
  )
  .max(256);

export const machines = z
  .array(z.object({ name: id, alias: id.optional(), 'cpu-max': count.optional() }))
  .max(1024);

export const deviceProperties = z
  .array(z.object({ name: id, type: id, 'default-value': z.unknown().optional() }))
  .max(8192);

export const schemaEntries = z
  .array(z.object({ 'meta-type': id, values: z.array(id).max(4096).optional() }))
  .max(16_384);

export const scalar = z.union([z.string().max(65_536), z.number(), z.boolean()]);
export const monitorText = z.string().max(4 * 1024 * 1024);
