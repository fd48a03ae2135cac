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
 * `request.json` in a migration's directory: the agent's request to its mover. It stays on the host, so it may contain
 * paths. Written once, atomically; later movers read the same file.
 */

const any = {
  id: migrationId,
  fromHost: hostName,
  toHost: hostName,
  /** ISO 8601, this host's clock. */
  createdAt: z.string().max(64),
  /** Number within the store, since the clock may go back. Absent in earlier builds. */
  ordinal: z.number().int().positive().optional(),
  linkShareBandwidth: bytes.optional(),
  uuid: name64.optional(),
  /** Epoch of the guest's right to run after this migration, above all earlier ones known here. */
  epoch: epoch.optional(),
};

const otherAgent = z.object({
  name: hostName,
  address,
  addresses: z.array(address).max(8).optional(),
});

const direct = { ...any, version: z.literal(1), peer: otherAgent };

const ownMove = z.object({
  finished: z.enum(['precopy', 'postcopy']),
  byWire: z.boolean(),
  several: z.boolean(),
  maxDowntimeMs: z.number().nonnegative(),
  downtimeMs: z.number().positive(),
  off: predictionOff.optional(),
  costs: toldCosts.optional(),
});

export const sourceMoverRequest = z.object({
  ...direct,
  side: z.literal('source'),
  request: migrationRequest,
  handle: guestHandle,
  memoryBytes: bytes,
  /** Migrations that brought the guest here, newest first. */
  lineage: lineage.optional(),
  labels: admission.shape.labels,
  vcpus: z.number().int().min(1).max(4096).optional(),
  /** MACs of its NICs on taps; absent if not all are known. */
  macs: z.array(z.string().max(17)).max(63).optional(),
  /** A NIC may be routed: its routes are read before the admission. */
  unbridged: z.boolean().optional(),
  link: linkMeasure.optional(),
  /** Latest moves to that host, newest first: their pauses and the cost of the path. */
  ownMoves: z.array(ownMove).max(64).optional(),
  writtenBytesPerS: guestRates.shape.writtenBytesPerS,
  /** The recent plan's prediction, for the report. */
  prediction: prediction.optional(),
  /** That plan's measurements, for `--path auto`. */
  measured: guestMeasure.optional(),
  returns: returns.optional(),
  fleetRequest: requestId.optional(),
});
export type SourceMoverRequest = z.infer<typeof sourceMoverRequest>;

/**
 * A migration by a manager, with a mover only here. Version 2, so that a build that cannot read its journal leaves it
 * alone; version 1 without a journal would count as never begun.
 */
export const managedMoverRequest = z.object({
  ...any,
  version: z.literal(2),
  side: z.literal('source'),
  lifecycle: z.literal('managed'),
  request: migrationRequest,
  handle: guestHandle,
  memoryBytes: bytes.optional(),
  prediction: prediction.optional(),
  /** The other host's agent, which observes the guest there and has the other end of the wire; absent: unknown. */
  peer: otherAgent.optional(),
  fleetRequest: requestId.optional(),
});
export type ManagedMoverRequest = z.infer<typeof managedMoverRequest>;

export const destinationMoverRequest = z.object({
  ...direct,
  side: z.literal('destination'),
  admission,
  /**
   * The guest's host is dead: this side starts the guest from its description, once that host and `off` are proved off.
   */
  recovery: z
    .object({
      preparation,
      off: z.array(hostName).max(64),
      /** When the description was last known to be right; absent in earlier builds. */
      keptAt: moment.optional(),
      /** The last confirmation; absent: an operator insisted, or an earlier build. */
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

export type JournalOf = 'source' | 'destination' | 'managed';

export function journalOf(request: MoverRequest): JournalOf {
  return isManagedRequest(request) ? 'managed' : request.side;
}

/** The other host, with or without Godwit. */
export function otherHost({
  side,
  fromHost,
  toHost,
}: Pick<MoverRequest, 'side' | 'fromHost' | 'toHost'>): string {
  return side === 'source' ? toHost : fromHost;
}

/** The guest's epoch after the move. Earlier builds use the time of the request. */
export function epochOf(request: MoverRequest): number {
  if (request.side === 'destination') return request.admission.epoch;
  return request.epoch ?? Math.max(1, Date.parse(request.createdAt));
}

export function isManagedRequest(request: MoverRequest): request is ManagedMoverRequest {
  return request.version === 2;
}

/**
 * `mover.json`: the present mover of the migration. The destination's mover writes it atomically once it listens; then
 * any mover writes the line `ready` to file descriptor 3, if it has one.
 */
export const moverState = z.object({
  pid: z.number().int().positive(),
  startTicks: z.number().int().nonnegative(),
  /** host:port of its TLS listener for the other mover; destination only. */
  address: address.optional(),
  socket: z.string().max(4096),
});
export type MoverState = z.infer<typeof moverState>;

export function journalFile(of: JournalOf): string {
  return `journal-${of}.jsonl`;
}
