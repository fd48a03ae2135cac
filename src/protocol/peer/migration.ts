import { z } from 'zod';
import { compressLevel } from '../public/compression.ts';
import { backingFile } from './backing-file.ts';
import { hostFacts } from './host-facts.ts';
import {
  disk,
  MAX_PLACES,
  nodeName,
  place,
  deviceAnswer,
  deviceProof,
  proofAnswer,
  proofPlace,
} from '../disk.ts';
import { serialError } from '../errors.ts';
import { endKind } from '../guest-end.ts';
import { halt } from '../guest-halt.ts';
import { labels } from '../labels.ts';
import { returns } from '../public/site-check.ts';
import { check, compression, migrationSettings, streamMode } from '../public/migration.ts';
import { answersFor } from '../public/resolve.ts';
import { transport } from '../public/transport.ts';
import {
  address,
  bytes,
  epoch,
  guestName,
  hostName,
  migrationId,
  moment,
  ms,
  shortText,
} from '../names.ts';
import { guestRoutes, MAX_NICS, networkMap, nicNetworks } from '../network.ts';
import { plugs } from '../unplug.ts';
import { linkGrace, wireOffer, wireSession, wireTerms } from '../wire.ts';

/**
 * Messages between two hosts about one migration. A peer names a guest and describes its devices, and never names a
 * path or a command of the other host.
 */

export const MAX_LINEAGE = 32;
export const lineage = z.array(migrationId).max(MAX_LINEAGE);

/** Source agent/mover -> destination agent: checks for room and starts a mover. Idempotent by id. */
export const admission = z.object({
  id: migrationId,
  guest: guestName,
  from: hostName,
  memoryBytes: bytes,
  /** Its processors, and the MACs of its NICs on taps in lower case; absent: an older source. */
  vcpus: z.number().int().min(1).max(4096).optional(),
  macs: z.array(z.string().max(17)).max(63).optional(),
  /** Routes that the destination needs; absent: none. */
  routes: guestRoutes.optional(),
  epoch,
  timeoutMs: ms,
  /** Migrations that brought the guest to its source, newest first. */
  lineage: lineage.optional(),
  /** The guest's labels; absent: an older source. */
  labels: labels.optional(),
  /** Driver of the guest's hypervisor; absent: the only one of the first versions. */
  driver: z.string().min(1).max(32).optional(),
  settings: migrationSettings.optional(),
  returns: returns.optional(),
});
export type Admission = z.infer<typeof admission>;

/** The destination's mover listens there, with the host's certificate. */
export const admitted = z.object({
  moverAddress: address,
  version: z.number().int(),
  wire: wireOffer.optional(),
  host: hostFacts.optional(),
});
export type AdmissionGrant = z.infer<typeof admitted>;

/** The driver's description of a guest; the same driver at the other side parses `spec`. */
export const guestDescription = z.object({
  driver: z.string().max(32),
  name: guestName,
  uuid: z.string().max(64).optional(),
  memoryBytes: bytes,
  vcpus: z.number().int().min(1).max(4096),
  hypervisorVersion: z.string().max(64),
  /** Frequency of its time-stamp counter, if it is its host's. */
  tscHz: z.number().positive().max(1e12).optional(),
  disks: z.array(disk).max(64).optional(),
  spec: z.unknown(),
});
export type GuestDescription = z.infer<typeof guestDescription>;

const inClear = transport.exclude(['tcp']);

/** Settings of the stream, equal at both ends. */
export const streamSettings = z.object({
  mode: streamMode,
  streams: z.number().int().min(1).max(16),
  compress: compression,
  /** Only at the source; absent: 1. */
  compressLevel,
  tls: z.boolean(),
  /** Unencrypted transports; absent: TCP. */
  transport: inClear.optional(),
});
export type StreamSettings = z.infer<typeof streamSettings>;

/** Source mover -> destination mover: checks, and builds the paused guest. Idempotent. */
export const preparation = z.object({
  epoch,
  description: guestDescription,
  // TLS with a transport that cannot encrypt is invalid.
  stream: z.discriminatedUnion('tls', [
    streamSettings.omit({ transport: true }).extend({ tls: z.literal(true) }),
    streamSettings.extend({ tls: z.literal(false), transport: inClear }),
  ]),
  /** Memory comes over the wire; absent: directly between hypervisors. */
  wire: wireTerms.optional(),
  /** Attachment of the guest's NICs at the source; absent: only the bridges of its description. */
  networks: nicNetworks.optional(),
  /** Link of the source -> link of the destination. */
  networkMap: networkMap.optional(),
  /** Places of shared images at the destination. */
  places: z.array(place).max(MAX_PLACES).optional(),
  /** Images to be copied: their places at the source for the assessment, then at the destination for the copy. */
  copies: z.array(place).max(MAX_PLACES).optional(),
  /** Read-only images on the source's own storage, by their places there. */
  bases: z.array(place).max(MAX_PLACES).optional(),
});
export type Preparation = z.infer<typeof preparation>;

export const prepared = z.object({
  /** The address where the destination's hypervisor listens for memory. */
  memoryAddress: address,
  tlsHostname: hostName,
  wire: wireSession.optional(),
  /** The hypervisor's report of the built machine, parsed by the source's driver. Absent: not compared. */
  machine: z.unknown().optional(),
});
export type PrepareAnswer = z.infer<typeof prepared>;

export const assessment = z.object({
  checks: z.array(check).max(256),
  /** The place where copies will be made; absent: nowhere. */
  copies: z.array(place).max(MAX_PLACES).optional(),
  /** Devices that it plugs in once the guest runs; absent: an earlier build plugs in none. */
  plugs: plugs.optional(),
  portSettings: z
    .record(z.string().max(128), z.array(z.string().max(64)).max(64))
    .refine((all) => Object.keys(all).length <= MAX_NICS, `names more than ${MAX_NICS} NICs`)
    .optional(),
});
export type Assessment = z.infer<typeof assessment>;

/** Source mover -> destination mover: identifies shared storage. Answers are in the order of the places. */
export const storageProof = z.object({
  places: z.array(proofPlace).max(MAX_PLACES),
  /** Block devices; earlier builds support none. */
  devices: z.array(deviceProof).max(MAX_PLACES).optional(),
});
export type StorageProof = z.infer<typeof storageProof>;
export const storageAnswer = z.object({
  places: z.array(proofAnswer).max(MAX_PLACES),
  devices: z.array(deviceAnswer).max(MAX_PLACES).optional(),
});
export type StorageAnswer = z.infer<typeof storageAnswer>;

export const epochBody = z.object({ epoch });

/**
 * `askFleet`: the source was restarted after it armed the migration, or an operator resolved it. Another host may have
 * recovered the guest, so the destination asks every host before it runs the guest. `answersFor`: the operator's answer
 * for other hosts, still valid at the source. Earlier builds do not send it.
 */
export const commitBody = epochBody.extend({
  askFleet: z.object({ answersFor }).optional(),
});
export type AskFleet = NonNullable<z.infer<typeof commitBody>['askFleet']>;

/** `watch`: the guest's writes to the copies are tracked from here on, for the comparison. */
export const diskEnd = epochBody.extend({ watch: z.boolean().optional() });

/** How long the links of the disks' session may be down, ms. */
export const diskOffer = epochBody.extend({ linkGraceMs: linkGrace });

/** The address where the destination's mover waits for disks; each call creates a new session. */
export const diskTunnel = wireSession.extend({ address });
export type DiskTunnel = z.infer<typeof diskTunnel>;

/**
 * Source mover -> destination mover, before the guest is built: asks which files it has, and where it will make the
 * others.
 */
export const seeding = preparation.extend({
  bases: z.array(backingFile).min(1).max(MAX_PLACES),
  linkGraceMs: linkGrace,
});
export type Seeding = z.infer<typeof seeding>;

/** Source mover -> destination mover, after the guest is built: drives whose medium has changed at the source. */
export const mediaChange = preparation.extend({
  /** By disk name. A drive that is not in the description has no medium now. */
  drives: z.array(disk.shape.name).min(1).max(64),
  bases: z.array(backingFile).max(MAX_PLACES),
});
export type MediaChange = z.infer<typeof mediaChange>;

export const seedAnswer = z.object({
  checks: z.array(check).max(MAX_PLACES),
  /** Block nodes whose images must be sent, in this order. */
  send: z.array(nodeName).max(MAX_PLACES),
  /** Where it waits for them; absent if none is sent. */
  tunnel: diskTunnel.optional(),
});
export type SeedAnswer = z.infer<typeof seedAnswer>;

/**
 * `lost`: the source says that no copy of the guest is whole any more. `because`: why it gives the migration up, in the
 * words of its own report; an older source does not say it. `neverRan`: it has sent no commit, or the destination refused it.
 */
export const releaseBody = epochBody.extend({
  lost: z.boolean().optional(),
  because: serialError.optional(),
  neverRan: z.literal(true).optional(),
});
export type Release = z.infer<typeof releaseBody>;

/** Answer to commit: the guest runs, since when (the destination's wall clock), and the duration of `cont`. */
export const running = z.object({ epoch, runningAt: moment, resumeMs: ms });
export type Running = z.infer<typeof running>;

/** The destination's synced refusal: it never runs the guest under this epoch. */
export const refused = z.object({ epoch, refused: z.literal(true) });

/** State of the destination's side, read after a takeover. */
export const destinationStatus = z.object({
  id: migrationId,
  epoch,
  state: z.enum(['admitted', 'prepared', 'armed', 'running', 'refused', 'released', 'finished']),
  hypervisor: z.enum([
    'none',
    'incoming',
    'paused',
    'running',
    'postcopy',
    'postcopy-paused',
    'gone',
  ]),
  error: serialError.optional(),
  note: shortText.optional(),
  /** From the order to run to the first frame through one of its ports; absent before the first frame. */
  firstFrameMs: ms.optional(),
  /** After post-copy: time that all the guest's processors waited for memory at once; absent if not counted. */
  postcopyWaitedMs: ms.optional(),
  /** The guest ran there and has ended, by itself or by an order; absent in earlier builds. */
  ended: endKind.optional(),
  /** The guest ran there and is stopped now, not by the move; absent in earlier builds. */
  halted: halt.optional(),
});
export type DestinationStatus = z.infer<typeof destinationStatus>;
