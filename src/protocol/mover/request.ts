import { z } from 'zod';
import { migrationRequest } from '../public/migration.ts';
import { address, bytes, hostName, migrationId } from '../names.ts';
import { admission, lineage } from '../peer/migration.ts';
import { guestHandle } from './handle.ts';

/**
 * `request.json` in a migration's directory: what the agent asks of the mover that it starts. It never leaves the
 * host, so it may hold paths. Written once, by tmp and rename; a mover that takes over reads the same file.
 */

const common = {
  version: z.literal(1),
  id: migrationId,
  fromHost: hostName,
  toHost: hostName,
  /** The other host's agent, and further addresses of it in the order in which they are tried. */
  peer: z.object({ name: hostName, address, addresses: z.array(address).max(8).optional() }),
  /** ISO 8601, this host's clock. */
  createdAt: z.string().max(64),
};

export const sourceMoverRequest = z.object({
  ...common,
  side: z.literal('source'),
  request: migrationRequest,
  handle: guestHandle,
  /** As discovered; lets the destination be asked while the guest is still being inspected. */
  memoryBytes: bytes,
  /** The migrations by which the guest came to this host, the newest first. */
  lineage: lineage.optional(),
  vcpus: z.number().int().min(1).max(4096).optional(),
  /** Of its NICs on taps; absent where not all are known. */
  macs: z.array(z.string().max(17)).max(63).optional(),
  /** What an earlier migration came to on the link to that host, bytes/s; only where it is asked for. */
  seenLinkRate: bytes.optional(),
});
export type SourceMoverRequest = z.infer<typeof sourceMoverRequest>;

export const destinationMoverRequest = z.object({
  ...common,
  side: z.literal('destination'),
  admission,
});
export type DestinationMoverRequest = z.infer<typeof destinationMoverRequest>;

export const moverRequest = z.discriminatedUnion('side', [
  sourceMoverRequest,
  destinationMoverRequest,
]);
export type MoverRequest = z.infer<typeof moverRequest>;

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

/** Name of the file in which the mover of that side keeps its journal. */
export function journalFile(side: MoverRequest['side']): string {
  return `journal-${side}.jsonl`;
}
