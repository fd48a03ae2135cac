import { z } from 'zod';
import { name64 } from '../public/hosts/host.ts';
import { migrationRequest } from '../public/migration.ts';
import { guestRates } from '../public/hosts/guest-load.ts';
import { requestId } from '../public/order.ts';
import { imageStamps } from '../peer/standby.ts';
import { descriptionNumber } from '../public/recovery.ts';
import { returns } from '../public/site-check.ts';
import {
  guestMeasure,
  linkMeasure,
  prediction,
  predictionOff,
  toldCosts,
} from '../public/prediction.ts';
import {
  address,
  bootTime,
  bytes,
  epoch,
  hostName,
  migrationId,
  moment,
  shortText,
} from '../names.ts';
import { admission, lineage, preparation } from '../peer/migration.ts';
import { guestHandle } from './handle.ts';

/**
 * `request.json` in a migration's directory: what the agent asks of the mover that it starts. It never leaves the
 * host, so it may hold paths. Written once, by tmp and rename; a mover that takes over reads the same file.
 */

const any = {
  id: migrationId,
  fromHost: hostName,
  toHost: hostName,
  /** ISO 8601, this host's clock. */
  createdAt: z.string().max(64),
  /** The store numbers its migrations, since the clock may go back. Absent: of an earlier build. */
  ordinal: z.number().int().positive().optional(),
  /** What `linkShare` of the request came to, bytes/s. */
  linkShareBandwidth: bytes.optional(),
  /** The guest's, as discovered. */
  uuid: name64.optional(),
  /** Of the guest's right to run after this migration: above all earlier ones of the guest that this host knows. */
  epoch: epoch.optional(),
};

/** The other host's agent, and further addresses of it in the order in which they are tried. */
const otherAgent = z.object({
  name: hostName,
  address,
  addresses: z.array(address).max(8).optional(),
});

const direct = { ...any, version: z.literal(1), peer: otherAgent };

/** A migration of this host to that one, and for how long its guest was paused. */
const ownMove = z.object({
  finished: z.enum(['precopy', 'postcopy']),
  byWire: z.boolean(),
  several: z.boolean(),
  maxDowntimeMs: z.number().nonnegative(),
  downtimeMs: z.number().positive(),
  /** Difference between the prediction and the result. */
  off: predictionOff.optional(),
  costs: toldCosts.optional(),
});

export const sourceMoverRequest = z.object({
  ...direct,
  side: z.literal('source'),
  request: migrationRequest,
  handle: guestHandle,
  /** As discovered; lets the destination be asked while the guest is still being inspected. */
  memoryBytes: bytes,
  /** The migrations by which the guest came to this host, the newest first. */
  lineage: lineage.optional(),
  labels: admission.shape.labels,
  vcpus: z.number().int().min(1).max(4096).optional(),
  /** Of its NICs on taps; absent where not all are known. */
  macs: z.array(z.string().max(17)).max(63).optional(),
  /** A NIC of it may be routed: what is routed to it is read before it is admitted. */
  unbridged: z.boolean().optional(),
  /** What its agent knows of the link to that host. */
  link: linkMeasure.optional(),
  /** Latest moves to that host, newest first: the pauses of the guests and the cost of its path. */
  ownMoves: z.array(ownMove).max(64).optional(),
  /** What it wrote to its disks in the minute before, where its agent has seen that. */
  writtenBytesPerS: guestRates.shape.writtenBytesPerS,
  /** What a plan of it said shortly before, for the report. */
  prediction: prediction.optional(),
  /** What that plan had measured of the guest, for `--path auto`. */
  measured: guestMeasure.optional(),
  /** It takes a guest back whose check failed. */
  returns: returns.optional(),
  fleetRequest: requestId.optional(),
});
export type SourceMoverRequest = z.infer<typeof sourceMoverRequest>;

/**
 * A manager moves the guest: there is one mover, and the other host has no part in it. Of version 2, so that a build that
 * cannot read its journal leaves it alone; it would take a request of version 1 without a journal for one that never began.
 */
export const managedMoverRequest = z.object({
  ...any,
  version: z.literal(2),
  side: z.literal('source'),
  lifecycle: z.literal('managed'),
  request: migrationRequest,
  handle: guestHandle,
  /** As discovered. */
  memoryBytes: bytes.optional(),
  /** What a plan of it said shortly before, for the report. */
  prediction: prediction.optional(),
  /** The other host’s agent, which looks at the guest there and holds the other end of the wire; absent: none is known. */
  peer: otherAgent.optional(),
  /** The request of the fleet that it is a move of. */
  fleetRequest: requestId.optional(),
});
export type ManagedMoverRequest = z.infer<typeof managedMoverRequest>;

export const destinationMoverRequest = z.object({
  ...direct,
  side: z.literal('destination'),
  admission,
  /** The guest's host is dead: this side starts the guest from its stored data, once that host and `off` are proved off. */
  recovery: z
    .object({
      preparation,
      off: z.array(hostName).max(64),
      /** When the guest was last known to be at its host as it was described; absent: an earlier build's request. */
      keptAt: moment.optional(),
      /** The last confirmation of the description; absent: an operator insisted, or an earlier build's request. */
      confirmed: z
        .object({
          at: bootTime,
          number: descriptionNumber,
          disks: shortText,
          images: imageStamps.default([]),
        })
        .optional(),
    })
    .optional(),
});
export type DestinationMoverRequest = z.infer<typeof destinationMoverRequest>;

export const moverRequest = z.union([
  sourceMoverRequest,
  managedMoverRequest,
  destinationMoverRequest,
]);
export type MoverRequest = z.infer<typeof moverRequest>;

/** Whose journal a migration has on this host. */
export type JournalOf = 'source' | 'destination' | 'managed';

export function journalOf(request: MoverRequest): JournalOf {
  return isManagedRequest(request) ? 'managed' : request.side;
}

/** The host on the other side, whether or not Godwit is there. */
export function otherHost({
  side,
  fromHost,
  toHost,
}: Pick<MoverRequest, 'side' | 'fromHost' | 'toHost'>): string {
  return side === 'source' ? toHost : fromHost;
}

/** The epoch of the guest once it has moved. Earlier builds take the moment at which the migration was asked for. */
export function epochOf(request: MoverRequest): number {
  if (request.side === 'destination') return request.admission.epoch;
  return request.epoch ?? Math.max(1, Date.parse(request.createdAt));
}

export function isManagedRequest(request: MoverRequest): request is ManagedMoverRequest {
  return request.version === 2;
}

/**
 * `mover.json`: who works on the migration now. The destination's mover writes it (tmp and rename) once it listens;
 * then, on either side, the mover writes the line `ready` to file descriptor 3 where it was given one.
 */
export const moverState = z.object({
  pid: z.number().int().positive(),
  startTicks: z.number().int().nonnegative(),
  /** host:port of its TLS listener for the other mover; destination only. */
  address: address.optional(),
  /** Unix socket of its API for this host's agent. */
  socket: z.string().max(4096),
});
export type MoverState = z.infer<typeof moverState>;

/** Name of the file in which a mover keeps its journal. */
export function journalFile(of: JournalOf): string {
  return `journal-${of}.jsonl`;
}
