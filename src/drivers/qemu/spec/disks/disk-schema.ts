import { z } from 'zod';
import { nodeName } from '../../../../protocol/disk.ts';

export const recipe = z.strictObject({
  clusterBytes: z
    .number()
    .int()
    .min(512)
    .max(2 * 1024 ** 2),
  version: z.enum(['v2', 'v3']),
  refcountBits: z.number().int().min(1).max(64),
  lazyRefcounts: z.boolean(),
  extendedL2: z.boolean(),
  compression: z.enum(['zlib', 'zstd']),
});
export type Recipe = z.infer<typeof recipe>;

export const MAX_TIMEOUT_S = 3600;
const DISCARD = z.enum(['ignore', 'unmap']);
const DETECT_ZEROES = z.enum(['off', 'on', 'unmap']);
const filterBase = { node: nodeName, discard: DISCARD, detectZeroes: DETECT_ZEROES };

const blockFilter = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('throttle'), group: z.string().max(128), ...filterBase }),
  z.strictObject({ kind: z.literal('copy-on-read'), ...filterBase }),
]);
export type BlockFilter = z.infer<typeof blockFilter>;

/** Block nodes with which QEMU opens an image: one for its format and one for its file, both named. */
export const blockNode = z.strictObject({
  /** Node of the device or of the overlay, unless there is a filter. */
  node: nodeName,
  format: z.enum(['raw', 'qcow2']),
  /** Node of its file; absent: `node` is the file itself, without a format layer. */
  file: nodeName.optional(),
  backing: nodeName.optional(),
  /** Encrypted with LUKS; the destination has its own passphrase. */
  luks: z.literal(true).optional(),
  /** Filters above it, lowest first: the device or overlay uses the last. */
  filters: z.array(blockFilter).min(1).max(8).optional(),
  /** Properties to create a qcow2 image; absent if an equal image cannot be created. */
  make: recipe.optional(),
  readOnly: z.boolean(),
  direct: z.boolean(),
  discard: DISCARD,
  fileDiscard: DISCARD,
  detectZeroes: DETECT_ZEROES,
  aio: z.enum(['threads', 'native']),
  /** Source's setting. The destination decides itself, as for `readOnly`: disks-decided.ts. */
  locking: z.enum(['auto', 'off']),
  /** Block device there; only the destination decides. */
  device: z.literal(true).optional(),
  /** Time until QEMU's iSCSI client returns an error to the guest, s; absent: never. */
  timeout: z.number().int().min(1).max(MAX_TIMEOUT_S).optional(),
  tuning: z.partialRecord(
    z.enum([
      'lazy-refcounts',
      'pass-discard-request',
      'pass-discard-snapshot',
      'pass-discard-other',
      'discard-no-unref',
      'cache-size',
      'l2-cache-size',
      'l2-cache-entry-size',
      'refcount-cache-size',
      'cache-clean-interval',
    ]),
    z.union([z.boolean(), z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)]),
  ),
});
export type BlockNode = z.infer<typeof blockNode>;

/** Backing files first; names are unique. */
export const blockNodes = z
  .array(blockNode)
  .min(1)
  .max(256)
  .superRefine((nodes, context) => {
    const known = new Set<string>();
    for (const { node, file, backing, luks, filters = [] } of nodes) {
      if (luks === true && file === undefined)
        context.addIssue(`${node} has no layer to decrypt it`);
      const own = [
        node,
        ...(file === undefined ? [] : [file]),
        ...filters.map((each) => each.node),
      ];
      for (const name of own) {
        if (known.has(name)) context.addIssue(`two block nodes are called ${name}`);
        known.add(name);
      }
      if (backing !== undefined && (own.includes(backing) || !known.has(backing))) {
        context.addIssue(`${backing} does not come before ${node}`);
      }
    }
  });
