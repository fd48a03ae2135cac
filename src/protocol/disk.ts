import { z } from 'zod';
import { serialError } from './errors.ts';
import { iscsiName, lunNumber } from './iscsi-url.ts';
import { bytes, ms } from './names.ts';
import { rbdName } from './rbd-name.ts';

/**
 * A guest's disks as both hosts speak of them. An image is known by its block node; where it lies is said as a place in
 * a pool of shared storage, and never as a path of the other host.
 */

/** A block node's name, as the hypervisor that will be started knows it. */
export const nodeName = z
  .string()
  .max(31)
  .regex(/^[A-Za-z][A-Za-z0-9._-]{0,30}$/);

const diskImage = z.object({
  node: nodeName,
  format: z.enum(['raw', 'qcow2']),
  /** What the guest, or the image above it, sees. */
  bytes,
  /** What it takes on its storage; absent where that is unknown. */
  allocatedBytes: bytes.optional(),
  readOnly: z.boolean(),
});
export type DiskImage = z.infer<typeof diskImage>;

export const disk = z.object({
  /** As people know it: the id of its device or drive. */
  name: z.string().min(1).max(256),
  /** The image that the guest writes to, then its backing files down to the last. */
  images: z.array(diskImage).min(1).max(64),
});
export type Disk = z.infer<typeof disk>;

/** A part of a path: anything but `.` and `..`. */
const SEGMENT = String.raw`(?:[^/\0.][^/\0]{0,60}|\.[^/\0.][^/\0]{0,60}|\.\.[^/\0]{1,60})`;

/** How the names of Godwit's own files begin: proofs, and what is being made. */
const OWN_NAME = '.godwit-';

/** Below a pool: no absolute path, no way up and out, and no name of Godwit's own files. */
export const pathInPool = z
  .string()
  .max(512)
  .regex(new RegExp(`^${SEGMENT}(?:/${SEGMENT}){0,7}$`), 'a path below a pool')
  .refine(
    (path) => path.split('/').every((part) => !part.startsWith(OWN_NAME)),
    `a path without names that begin with ${OWN_NAME}`,
  );

/**
 * What the host that has a pool calls it; it says nothing to others. Where the destination of a migration names a place to
 * its source, it is an id that it made for this migration and this place (mover/direct/destination/disks/place-ids.ts).
 */
export const poolId = z
  .string()
  .max(16)
  .regex(/^[0-9a-f]{16}$/);

/** Of a file on one file system. */
export const inodeNumber = z
  .string()
  .max(20)
  .regex(/^\d{1,20}$/);

/** Where the destination found an image. */
export const place = z.object({
  node: nodeName,
  pool: poolId,
  path: pathInPool,
  /** Which block device the path was when it was proved: the destination alone says it, and takes it from nobody. */
  device: poolId.optional(),
  /** Which directory a container's volume was when it was proved: likewise the destination's word alone. */
  volume: poolId.optional(),
  /**
   * The number of the file that the source's hypervisor has open, if both hosts number the files of that storage alike. The
   * destination opens no other file. An earlier build neither sends nor compares it.
   */
  inode: inodeNumber.optional(),
  /** It is a block device at the source, so its copy may become one; said of images that are to be copied. */
  onDevice: z.literal(true).optional(),
});
export type ImagePlace = z.infer<typeof place>;

/** How far the copy of a disk is, by the block node that the guest writes to; `port/disks.ts` lists the states. */
export const diskProgress = z.object({
  node: nodeName,
  state: z.enum(['copying', 'ready', 'broken', 'whole', 'failed']),
  copiedBytes: bytes,
  /** Grows with what the guest writes meanwhile. */
  totalBytes: bytes,
});
export type DiskProgress = z.infer<typeof diskProgress>;

/** How the copies of all disks get on, as of the last seconds. */
export const diskPace = z.object({
  /** bytes/s copied, and bytes/s that the guest wrote to places that were copied already. */
  rate: bytes,
  writeRate: bytes,
  /** ms until nothing is left to copy at these rates; absent where that is never. */
  etaMs: ms.optional(),
});
export type DiskPace = z.infer<typeof diskPace>;

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** What the path of the disks between the movers carried, as the source saw it. */
export const diskLink = z.object({
  /** Bytes of the source's hypervisor for the destination's, and of that one's for it. */
  sentBytes: bytes,
  receivedBytes: bytes,
  /** Bytes that went over the links for them, both ways, what was sent twice included. */
  linkBytes: bytes,
  /** Times without any link, and the longest. */
  cuts: count,
  longestCutMs: ms,
  /** One, and one more for each time that the path was made anew. */
  sessions: count,
});
export type DiskLink = z.infer<typeof diskLink>;

/** What the comparison of copies came to, as they were at the switch. */
export const diskCheck = z.object({
  /** unverified: it could not be found out. */
  verdict: z.enum(['equal', 'different', 'unverified']),
  /** Found to hold the same, holes included. */
  comparedBytes: bytes,
  /** Written to by the guest since the switch, so that nothing can be said of it. */
  excludedBytes: bytes,
  /** Not written to since, and not the same. */
  differentBytes: bytes,
  /** The first place that differs. */
  first: z.object({ node: nodeName, at: bytes }).optional(),
  tookMs: ms,
  error: serialError.optional(),
});
export type DiskCheck = z.infer<typeof diskCheck>;

/** How long the guest's own requests of one kind took; without percentiles where it made none. */
const requestTimes = z.object({
  count,
  p50Ms: ms.optional(),
  p99Ms: ms.optional(),
  /** Some took longer than the hypervisor tells apart: `p99Ms` is at least so much. */
  isLeast: z.literal(true).optional(),
});
export type RequestTimes = z.infer<typeof requestTimes>;

/** Over a while; a kind is absent where nobody counted it. */
export const diskRequests = z.object({
  /** Absent where the mover that had begun to count ended. */
  overMs: ms.optional(),
  reads: requestTimes.optional(),
  writes: requestTimes.optional(),
  flushes: requestTimes.optional(),
});
export type DiskRequests = z.infer<typeof diskRequests>;

/** The guest's own requests to a disk: while the destination was made ready, and from the start of the copy to the switch. */
export const diskLatency = z.object({
  node: nodeName,
  before: diskRequests.optional(),
  during: diskRequests.optional(),
});
export type DiskLatency = z.infer<typeof diskLatency>;

/** What a report says of disks that were copied. */
export const copiedDisks = {
  /** As their copies stood last; absent where none was copied. */
  disks: z.array(diskProgress).max(64).optional(),
  /** What went between the hosts for them; absent where none was copied, or the path to the other host never stood. */
  diskLink: diskLink.optional(),
  /** Absent where none was copied, or its hypervisor does not count requests. */
  diskLatency: z.array(diskLatency).max(64).optional(),
  /** Whether the copies are the same, where that was to be found out. */
  diskCheck: diskCheck.optional(),
};

/** At most as many images as a guest may have, each in a directory of its own. */
export const MAX_PLACES = 256;

const files = z.array(z.string().max(4096)).max(MAX_PLACES);

/** The images of a guest's disks at its source, as the source's own journal has them. */
export const imagesHere = {
  /** Files of the copied images, which are given up once the guest has left. */
  copied: files.optional(),
  /** The backing files of each of those, the nearest first. */
  below: z.array(files).max(MAX_PLACES).optional(),
  /** Which file each image is, by block node. The record of an earlier build has none, and then no image is removed. */
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

/** A file beside an image that the source has just written a nonce to: where the destination is to look for it. */
export const proofPlace = z.object({
  /** Of its pool; empty for the pool itself. */
  directory: z.union([z.literal(''), pathInPool]),
  file: proofName,
  /** SHA-256 of the nonce: another directory of the guest may have a proof of the same name. An earlier build says none. */
  sum: nonce.optional(),
  /** On an NFS export that the source's hypervisor opens by itself: to be looked for on such exports, in no directory. */
  nfs: z.literal(true).optional(),
  /** The directory is a volume of a container, or holds one that is a file: it is to be mounted as it is. */
  volume: z.literal(true).optional(),
});
export type ProofPlace = z.infer<typeof proofPlace>;

export const proofAnswer = z.object({
  /** The pool in which the file was found; absent: in none. */
  pool: poolId.optional(),
  /** What it held. */
  read: z.string().max(256).optional(),
  /** What this host has added to it. */
  wrote: nonce.optional(),
  /** The number of that file at this host; an earlier build does not report it. */
  inode: inodeNumber.optional(),
  /** Said again of a volume: a host of an earlier build mounts none as it is, and does not say it. */
  volume: z.literal(true).optional(),
  /** Why it could not be read, or not be written to. */
  problem: z.string().max(1024).optional(),
});
export type ProofAnswer = z.infer<typeof proofAnswer>;

/** Sums of what a block device holds in certain places. */
const samples = z.array(z.string().regex(/^[0-9a-f]{16}$/)).max(256);

/** A LUN of an iSCSI target, which each host reaches by a portal of its own. */
const lunPlace = z.object({ target: iscsiName, lun: lunNumber });
export type LunPlace = z.infer<typeof lunPlace>;

/** An image of Ceph's RBD, which each host reaches as a user of its own. */
const rbdImage = z.object({ pool: rbdName, namespace: rbdName.optional(), image: rbdName });
export type RbdImage = z.infer<typeof rbdImage>;

/** What a block device, a LUN or an image of RBD is at the source: the destination looks for the same among its own. */
export const deviceProof = z.object({
  /** It is a LUN that the source's hypervisor opens by itself: to be looked for at such targets, and among no devices. */
  iscsi: lunPlace.optional(),
  /** Likewise an image of RBD. */
  rbd: rbdImage.optional(),
  /** Its path at both hosts: a manager opens it there, and whatever else has its ids is not what the guest gets. */
  at: z.string().startsWith('/').max(1024).optional(),
  /** Of its hardware, and of what lies between. */
  ids: z.array(z.string().min(1).max(512)).min(1).max(64),
  bytes,
  /**
   * What the source reads in the places that the destination's challenge says, or has written beside the image of RBD; absent
   * at first.
   */
  samples: samples.optional(),
});
export type DeviceProof = z.infer<typeof deviceProof>;

export const deviceAnswer = z.object({
  /** It is there: the places to read it in. */
  challenge: nonce.optional(),
  /** Where it is there, once the source has reported the same samples; absent: nowhere. */
  pool: poolId.optional(),
  path: pathInPool.optional(),
  /** What this host reads there. */
  samples: samples.optional(),
  /** Why it cannot be used there. */
  problem: z.string().max(1024).optional(),
  /** Said again of a device with a path: a host of an earlier build looks among its `devices`, and does not say it. */
  at: z.literal(true).optional(),
});
export type DeviceAnswer = z.infer<typeof deviceAnswer>;
