import { z } from 'zod';
import { serialError } from './errors.ts';
import { iscsiName, lunNumber } from './iscsi-url.ts';
import { bytes, ms } from './names.ts';
import { rbdName } from './rbd-name.ts';

/** A guest's disks in messages between hosts, which never name a path of the other host. */

export const nodeName = z
  .string()
  .max(31)
  .regex(/^[A-Za-z][A-Za-z0-9._-]{0,30}$/);

const diskImage = z.object({
  node: nodeName,
  format: z.enum(['raw', 'qcow2']),
  /** Size for the guest or the image above. */
  bytes,
  /** Size on its storage; absent if unknown. */
  allocatedBytes: bytes.optional(),
  readOnly: z.boolean(),
});
export type DiskImage = z.infer<typeof diskImage>;

export const disk = z.object({
  /** For people: the id of its device or drive. */
  name: z.string().min(1).max(256),
  /** The image that the guest writes to, then its chain of backing files. */
  images: z.array(diskImage).min(1).max(64),
});
export type Disk = z.infer<typeof disk>;

/** A path segment except `.` and `..`. */
const SEGMENT = String.raw`(?:[^/\0.][^/\0]{0,60}|\.[^/\0.][^/\0]{0,60}|\.\.[^/\0]{1,60})`;

/** Prefix of Godwit's files: proofs, and images being made. */
const OWN_NAME = '.godwit-';

/** Path below a pool: relative, without `..`, and without names of Godwit's files. */
export const pathInPool = z
  .string()
  .max(512)
  .regex(new RegExp(`^${SEGMENT}(?:/${SEGMENT}){0,7}$`), 'a path below a pool')
  .refine(
    (path) => path.split('/').every((part) => !part.startsWith(OWN_NAME)),
    `a path without names that begin with ${OWN_NAME}`,
  );

/**
 * A host's local name for a pool. In a destination's answers it is an id made for this migration and place
 * (mover/direct/destination/disks/place-ids.ts).
 */
export const poolId = z
  .string()
  .max(16)
  .regex(/^[0-9a-f]{16}$/);

export const inodeNumber = z
  .string()
  .max(20)
  .regex(/^\d{1,20}$/);

export const place = z.object({
  node: nodeName,
  pool: poolId,
  path: pathInPool,
  /** The block device at that path when it was proved; only the destination sets it. */
  device: poolId.optional(),
  /** The directory of a container's volume when it was proved; only the destination sets it. */
  volume: poolId.optional(),
  /**
   * Inode of the file that the source's hypervisor has open, if both hosts number that storage alike. The destination
   * opens no other file.
   */
  inode: inodeNumber.optional(),
  /** A block device at the source, so its copy may be one; only for images to be copied. */
  onDevice: z.literal(true).optional(),
});
export type ImagePlace = z.infer<typeof place>;

/** Progress of a disk's copy, by the block node that the guest writes to; `port/disks.ts` lists the states. */
export const diskProgress = z.object({
  node: nodeName,
  state: z.enum(['copying', 'ready', 'broken', 'whole', 'failed']),
  copiedBytes: bytes,
  /** Grows with the guest's writes. */
  totalBytes: bytes,
});
export type DiskProgress = z.infer<typeof diskProgress>;

/** Speed of all copies over the last seconds. */
export const diskPace = z.object({
  /** bytes/s copied, and bytes/s rewritten by the guest after they were copied. */
  rate: bytes,
  writeRate: bytes,
  /** ms until nothing is left at these rates; absent: never. */
  etaMs: ms.optional(),
});
export type DiskPace = z.infer<typeof diskPace>;

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** Traffic of the disks' path between the movers, as the source saw it. */
export const diskLink = z.object({
  /** Hypervisors' bytes, to the destination and back. */
  sentBytes: bytes,
  receivedBytes: bytes,
  /** Bytes on the links in both directions, repetitions included. */
  linkBytes: bytes,
  /** Times without any link, and the longest. */
  cuts: count,
  longestCutMs: ms,
  /** Number of sessions; each rebuilt path adds one. */
  sessions: count,
});
export type DiskLink = z.infer<typeof diskLink>;

/** Compared as at the switch. */
export const diskCheck = z.object({
  /** unverified: the comparison was not possible. */
  verdict: z.enum(['equal', 'different', 'unverified']),
  /** Found equal, holes included. */
  comparedBytes: bytes,
  /** Rewritten by the guest since the switch, so not comparable. */
  excludedBytes: bytes,
  /** Unequal without a write since. */
  differentBytes: bytes,
  first: z.object({ node: nodeName, at: bytes }).optional(),
  tookMs: ms,
  error: serialError.optional(),
});
export type DiskCheck = z.infer<typeof diskCheck>;

/** Latencies of the guest's requests of one kind; without percentiles if there were none. */
const requestTimes = z.object({
  count,
  p50Ms: ms.optional(),
  p99Ms: ms.optional(),
  /** Some exceeded the hypervisor's scale: `p99Ms` is a lower bound. */
  isLeast: z.literal(true).optional(),
});
export type RequestTimes = z.infer<typeof requestTimes>;

/** Over a time; a kind is absent if it was not counted. */
export const diskRequests = z.object({
  overMs: ms.optional(),
  reads: requestTimes.optional(),
  writes: requestTimes.optional(),
  flushes: requestTimes.optional(),
});
export type DiskRequests = z.infer<typeof diskRequests>;

/** Latency of the guest's requests to a disk: during preparation, and from the start of the copy to the switch. */
export const diskLatency = z.object({
  node: nodeName,
  before: diskRequests.optional(),
  during: diskRequests.optional(),
});
export type DiskLatency = z.infer<typeof diskLatency>;

export const copiedDisks = {
  /** Last state of the copies; absent if none was made. */
  disks: z.array(diskProgress).max(64).optional(),
  /** Traffic between the hosts; absent if no disk was copied or the path never worked. */
  diskLink: diskLink.optional(),
  /** Absent if none was copied, or its hypervisor does not count requests. */
  diskLatency: z.array(diskLatency).max(64).optional(),
  diskCheck: diskCheck.optional(),
};

/** A guest's maximum number of images, each in its own directory. */
export const MAX_PLACES = 256;

const files = z.array(z.string().max(4096)).max(MAX_PLACES);

export const imagesHere = {
  /** Removed once the guest has left. */
  copied: files.optional(),
  /** Backing files, nearest first. */
  below: z.array(files).max(MAX_PLACES).optional(),
  /** Identity of each image's file, by block node. Without it (an earlier build) no image is removed. */
  identities: z
    .record(nodeName, z.string().max(64))
    .refine((all) => Object.keys(all).length <= MAX_PLACES)
    .optional(),
};

export const proofName = z
  .string()
  .max(88)
  .regex(/^\.godwit-[A-Za-z0-9-]{1,80}$/);
export const nonce = z
  .string()
  .max(64)
  .regex(/^[0-9a-f]{64}$/);

/** A file next to an image, for the destination to find: the source just wrote a nonce in it. */
export const proofPlace = z.object({
  /** Path below its pool; empty: the pool itself. */
  directory: z.union([z.literal(''), pathInPool]),
  file: proofName,
  /** SHA-256 of the nonce: another directory may have a proof of the same name. Absent in earlier builds. */
  sum: nonce.optional(),
  /** On an NFS export that the source's hypervisor mounts itself: search only such exports. */
  nfs: z.literal(true).optional(),
  /** The directory is a container's volume, or holds one that is a file: it is mounted unchanged. */
  volume: z.literal(true).optional(),
});
export type ProofPlace = z.infer<typeof proofPlace>;

export const proofAnswer = z.object({
  /** The pool with the file; absent: not found. */
  pool: poolId.optional(),
  read: z.string().max(256).optional(),
  /** Text that this host appended. */
  wrote: nonce.optional(),
  /** Inode of the file at this host; absent in earlier builds. */
  inode: inodeNumber.optional(),
  /** Confirms a volume; earlier builds do not support them. */
  volume: z.literal(true).optional(),
  problem: z.string().max(1024).optional(),
});
export type ProofAnswer = z.infer<typeof proofAnswer>;

const samples = z.array(z.string().regex(/^[0-9a-f]{16}$/)).max(256);

/** A LUN of an iSCSI target, which each host reaches by its own portal. */
const lunPlace = z.object({ target: iscsiName, lun: lunNumber });
export type LunPlace = z.infer<typeof lunPlace>;

/** An RBD image, which each host reaches as its own user. */
const rbdImage = z.object({ pool: rbdName, namespace: rbdName.optional(), image: rbdName });
export type RbdImage = z.infer<typeof rbdImage>;

/** Identity of the source's block device, LUN or RBD image, to find the same one at the destination. */
export const deviceProof = z.object({
  /** A LUN that the source's hypervisor opens itself: search such targets, not devices. */
  iscsi: lunPlace.optional(),
  rbd: rbdImage.optional(),
  /** Path at both hosts, required by a manager; a device with the same ids elsewhere does not count. */
  at: z.string().startsWith('/').max(1024).optional(),
  /** Ids of the hardware and the transport. */
  ids: z.array(z.string().min(1).max(512)).min(1).max(64),
  bytes,
  /** What the source reads at the challenge's places, or has written next to the RBD image; absent at first. */
  samples: samples.optional(),
});
export type DeviceProof = z.infer<typeof deviceProof>;

export const deviceAnswer = z.object({
  challenge: nonce.optional(),
  /** Its place, once the source's samples match; absent: nowhere. */
  pool: poolId.optional(),
  path: pathInPool.optional(),
  samples: samples.optional(),
  problem: z.string().max(1024).optional(),
  /** Confirms the path; earlier builds ignore it and search all `devices`. */
  at: z.literal(true).optional(),
});
export type DeviceAnswer = z.infer<typeof deviceAnswer>;
