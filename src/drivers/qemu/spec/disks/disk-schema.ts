import { z } from 'zod';
import { nodeName } from '../../../../protocol/disk.ts';

/** What a qcow2 image is made with, so that an empty one like it can be made. */
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

/** What stands between an image and who reads it. */
const blockFilter = z.discriminatedUnion('kind', [
  /** `group`: the object whose limits hold. */
  z.strictObject({ kind: z.literal('throttle'), group: z.string().max(128), ...filterBase }),
  z.strictObject({ kind: z.literal('copy-on-read'), ...filterBase }),
]);
export type BlockFilter = z.infer<typeof blockFilter>;

/** How QEMU is to open an image: one block node for its format and one for its file, both by name. */
export const blockNode = z.strictObject({
  /** What the device, or the image above, is on, where there is no filter. */
  node: nodeName,
  /** Never left to be probed. */
  format: z.enum(['raw', 'qcow2']),
  /** The node of its file; absent: `node` is the file itself, without a layer for the format. */
  file: nodeName.optional(),
  /** The node of its backing file. */
  backing: nodeName.optional(),
  /** It is encrypted as LUKS; the passphrase is the destination's own matter. */
  luks: z.literal(true).optional(),
  /** Above it, the lowest first: the device, or the image above, is on the last. */
  filters: z.array(blockFilter).min(1).max(8).optional(),
  /** Of a qcow2 image; absent where another like it cannot be made. */
  make: recipe.optional(),
  readOnly: z.boolean(),
  /** Past the host's page cache. */
  direct: z.boolean(),
  discard: DISCARD,
  fileDiscard: DISCARD,
  detectZeroes: DETECT_ZEROES,
  aio: z.enum(['threads', 'native']),
  /** How the guest was started. The destination decides for itself, and so it does of `readOnly`: disks-decided.ts. */
  locking: z.enum(['auto', 'off']),
  /** It is a block device there: the destination alone decides. */
  device: z.literal(true).optional(),
  /** s that QEMU's iSCSI client waits for an answer before the guest gets an error; absent: for ever. */
  timeout: z.number().int().min(1).max(MAX_TIMEOUT_S).optional(),
  /** Settings of qcow2's own caches and allocation. */
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

/** Each backing file before what is on it; every name once. */
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
