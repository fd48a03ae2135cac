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
 * What two hosts say to each other about one migration. A peer names a guest and describes its devices;
 * it never names a path or a command of the other host.
 */

/** Migrations that are named as those by which a guest came to its source; older ones are forgotten. */
export const MAX_LINEAGE = 32;
export const lineage = z.array(migrationId).max(MAX_LINEAGE);

/** Source agent/mover -> destination agent: is there room, and start a mover. Idempotent by id. */
export const admission = z.object({
  id: migrationId,
  guest: guestName,
  from: hostName,
  memoryBytes: bytes,
  /** Its processors, and the MACs of its NICs on taps, in lower case; an older source says neither. */
  vcpus: z.number().int().min(1).max(4096).optional(),
  macs: z.array(z.string().max(17)).max(63).optional(),
  /** What the destination is to route to it; absent: nothing. */
  routes: guestRoutes.optional(),
  epoch,
  timeoutMs: ms,
  /** The migrations by which the guest came to its source, the newest first. */
  lineage: lineage.optional(),
  /** What people said of the guest; an older source does not say it. */
  labels: labels.optional(),
  /** The driver of the guest's hypervisor; absent where that is the only one of the first versions. */
  driver: z.string().min(1).max(32).optional(),
  /** What the user asked for, for the destination's own report; an older source does not say it. */
  settings: migrationSettings.optional(),
  /** The guest comes back, because its check failed. */
  returns: returns.optional(),
});
export type Admission = z.infer<typeof admission>;

/** The destination's mover is listening there, with the host's certificate. */
export const admitted = z.object({
  moverAddress: address,
  version: z.number().int(),
  /** The host can take memory over the wire. */
  wire: wireOffer.optional(),
  /** What the host reports of itself; an older one says nothing. */
  host: hostFacts.optional(),
});
export type AdmissionGrant = z.infer<typeof admitted>;

/** A guest as its driver describes it; `spec` is read by the same driver on the other side, with its own schema. */
export const guestDescription = z.object({
  driver: z.string().max(32),
  name: guestName,
  uuid: z.string().max(64).optional(),
  memoryBytes: bytes,
  vcpus: z.number().int().min(1).max(4096),
  hypervisorVersion: z.string().max(64),
  /** How fast the time-stamp counter of its processors is, where that is its host's own. */
  tscHz: z.number().positive().max(1e12).optional(),
  disks: z.array(disk).max(64).optional(),
  spec: z.unknown(),
});
export type GuestDescription = z.infer<typeof guestDescription>;

const inClear = transport.exclude(['tcp']);

/** How the stream will be sent: both ends must be set alike. */
export const streamSettings = z.object({
  mode: streamMode,
  streams: z.number().int().min(1).max(16),
  compress: compression,
  /** Of the source alone; absent: 1. */
  compressLevel,
  tls: z.boolean(),
  /** What does not encrypt; absent: TCP. */
  transport: inClear.optional(),
});
export type StreamSettings = z.infer<typeof streamSettings>;

/** Source mover -> destination mover: check, and build the paused guest. Idempotent. */
export const preparation = z.object({
  epoch,
  description: guestDescription,
  // A source that would send in clear text what can be encrypted finds nobody who listens.
  stream: z.discriminatedUnion('tls', [
    streamSettings.omit({ transport: true }).extend({ tls: z.literal(true) }),
    streamSettings.extend({ tls: z.literal(false), transport: inClear }),
  ]),
  /** Memory comes over the wire; absent: from hypervisor to hypervisor. */
  wire: wireTerms.optional(),
  /** How the guest's NICs are attached at the source; absent: by the bridges of its description alone. */
  networks: nicNetworks.optional(),
  /** What the user maps: link of the source -> link of the destination. */
  networkMap: networkMap.optional(),
  /** Where the images of its disks were found at the destination, which all of them share with the source. */
  places: z.array(place).max(MAX_PLACES).optional(),
  /** Images that will be copied: to be assessed, where the source has each; to be made, where the destination said. */
  copies: z.array(place).max(MAX_PLACES).optional(),
  /** Images that the guest only reads, on the source's own storage: where the source has each. */
  bases: z.array(place).max(MAX_PLACES).optional(),
});
export type Preparation = z.infer<typeof preparation>;

export const prepared = z.object({
  /** Where the destination's hypervisor listens for memory. */
  memoryAddress: address,
  /** The name in the destination's certificate. */
  tlsHostname: hostName,
  /** Over the wire: the session that waits there, and for nothing else. */
  wire: wireSession.optional(),
  /** What its hypervisor reports of the machine that it has made; read by the same driver at the source. Absent: not compared. */
  machine: z.unknown().optional(),
});
export type PrepareAnswer = z.infer<typeof prepared>;

export const assessment = z.object({
  checks: z.array(check).max(256),
  /** Where it will make the images that are to be copied; absent where it would make none. */
  copies: z.array(place).max(MAX_PLACES).optional(),
  /** What it plugs in of its own once the guest runs there; an earlier build plugs nothing in. */
  plugs: plugs.optional(),
  /** Settings of each NIC's port that it has judged, by the NIC's id; an earlier build judges none. */
  portSettings: z
    .record(z.string().max(128), z.array(z.string().max(64)).max(64))
    .refine((all) => Object.keys(all).length <= MAX_NICS, `names more than ${MAX_NICS} NICs`)
    .optional(),
});
export type Assessment = z.infer<typeof assessment>;

/** Source mover -> destination mover: is this the same storage? The answers come in the order of the places. */
export const storageProof = z.object({
  places: z.array(proofPlace).max(MAX_PLACES),
  /** Block devices; a host of an earlier build knows of none, and shares none. */
  devices: z.array(deviceProof).max(MAX_PLACES).optional(),
});
export type StorageProof = z.infer<typeof storageProof>;
export const storageAnswer = z.object({
  places: z.array(proofAnswer).max(MAX_PLACES),
  /** In the order of the devices. */
  devices: z.array(deviceAnswer).max(MAX_PLACES).optional(),
});
export type StorageAnswer = z.infer<typeof storageAnswer>;

export const epochBody = z.object({ epoch });

/**
 * `askFleet`: the source was restarted since it armed the migration, or an operator resolved it. Another host may have
 * recovered the guest meanwhile, so the destination asks every host before it runs the guest. `answersFor`: the operator's
 * word for other hosts, still valid at the source. An earlier build does not send it.
 */
export const commitBody = epochBody.extend({
  askFleet: z.object({ answersFor }).optional(),
});
export type AskFleet = NonNullable<z.infer<typeof commitBody>['askFleet']>;

/** `watch`: what the guest writes to the copies from here on is kept account of, so that they can be compared. */
export const diskEnd = epochBody.extend({ watch: z.boolean().optional() });

/** For how long the links of the disks' session may be cut, ms. */
export const diskOffer = epochBody.extend({ linkGraceMs: linkGrace });

/** Where the destination's mover waits for the bytes of disks: a session of its own for each time that it is asked. */
export const diskTunnel = wireSession.extend({ address });
export type DiskTunnel = z.infer<typeof diskTunnel>;

/** Source mover -> destination mover, before anything is built: which of these has it, and where will it make the others? */
export const seeding = preparation.extend({
  bases: z.array(backingFile).min(1).max(MAX_PLACES),
  linkGraceMs: linkGrace,
});
export type Seeding = z.infer<typeof seeding>;

/** Source mover -> destination mover, once the guest is built: drives that have another medium at the source now. */
export const mediaChange = preparation.extend({
  /** By the names of their disks. A drive that is no disk of the description has no medium now. */
  drives: z.array(disk.shape.name).min(1).max(64),
  bases: z.array(backingFile).max(MAX_PLACES),
});
export type MediaChange = z.infer<typeof mediaChange>;

export const seedAnswer = z.object({
  checks: z.array(check).max(MAX_PLACES),
  /** Block nodes whose images are to be sent, in this order. */
  send: z.array(nodeName).max(MAX_PLACES),
  /** Where it waits for them; absent where none is to be sent. */
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

/** The destination's answer to commit: it runs, since when (its own wall clock), and how long `cont` took. */
export const running = z.object({ epoch, runningAt: moment, resumeMs: ms });
export type Running = z.infer<typeof running>;

/** The destination's refusal, synced: it has not run and never will under this epoch. */
export const refused = z.object({ epoch, refused: z.literal(true) });

/** What the destination's side knows; the source's mover polls it and reads it after a takeover. */
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
  /** From the order to run here to the first frame through one of its ports; absent until one has come. */
  firstFrameMs: ms.optional(),
  /** Post-copy that is over: how long all processors of the guest waited for memory at once; absent where nobody counted. */
  postcopyWaitedMs: ms.optional(),
  /** The guest ran there and has ended since, by itself or by an order; earlier builds do not report it. */
  ended: endKind.optional(),
  /** The guest ran there and is stopped now, not by the move; earlier builds do not report it. */
  halted: halt.optional(),
});
export type DestinationStatus = z.infer<typeof destinationStatus>;
