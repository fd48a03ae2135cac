import { z } from 'zod';
import { copiedDisks, diskCheck, imagesHere, MAX_PLACES, place } from '../../protocol/disk.ts';
import { launch } from '../../protocol/mover/handle.ts';
import { address, hostName, ms } from '../../protocol/names.ts';
import { nicNetworks } from '../../protocol/network.ts';
import { guestDescription, running } from '../../protocol/peer/migration.ts';
import { ballooned } from '../../protocol/public/balloon.ts';
import { check, chosenStream } from '../../protocol/public/migration.ts';
import { forecast } from '../../protocol/public/prediction.ts';
import { probeReports } from '../../protocol/public/probe.ts';
import { MAX_UNPLUGGED, unplugged } from '../../protocol/unplug.ts';
import { wireSession } from '../../protocol/wire.ts';
import { endKind } from '../../protocol/guest-end.ts';
import { halt } from '../../protocol/guest-halt.ts';
import { guestSnapshot } from '../guest-changes/snapshot.ts';

/** What a step found out; kept, so that a new mover needs not ask again. */
export const stepFacts = z.object({
  description: guestDescription.optional(),
  checks: z.array(check).max(256).optional(),
  /** The guest as the destination was made for it, to be compared with later; absent if its driver reads none. */
  snapshot: guestSnapshot.optional(),
  /** Where the destination found the images of its disks. */
  places: z.array(place).max(MAX_PLACES).optional(),
  /** Images that are copied, and where the destination makes them. */
  copies: z.array(place).max(MAX_PLACES).optional(),
  /** Images that the guest only reads, on this host's own storage: where they lie here. */
  bases: z.array(place).max(MAX_PLACES).optional(),
  ...imagesHere,
  /** Devices that the guest is without while it moves, and how each is plugged in again here. */
  unplugged: z.array(unplugged).max(MAX_UNPLUGGED).optional(),
  /** What it may take more to hand over, and to resume there, as its driver says (port/inspection.ts), ms. */
  handsOverMs: z.number().int().nonnegative().max(86_400_000).optional(),
  resumesMs: z.number().int().nonnegative().max(86_400_000).optional(),
  /** Taps of the source, removed once the guest has left. */
  ports: z.array(z.string().max(15)).max(64).optional(),
  networks: nicNetworks.optional(),
  /** Wall clock when it stopped waiting for the moment that was asked for. */
  beganAtMs: z.number().nonnegative().optional(),
  waited: z.string().max(1024).optional(),
  moverAddress: address.optional(),
  memoryAddress: address.optional(),
  tlsHostname: hostName.optional(),
  /** The destination's address over which post-copy was resumed last. */
  streamOver: address.optional(),
  /** The path that memory takes, and why; a stream that was chosen with it. */
  path: z
    .object({
      takes: z.enum(['native', 'wire']),
      why: z.string().max(1024),
      stream: chosenStream.optional(),
    })
    .optional(),
  ...forecast,
  /** The wire's session that waits at `memoryAddress`. */
  wire: wireSession.optional(),
  running: running.optional(),
  /** As the destination reports them, and what other hosts saw of it. */
  firstFrameMs: ms.optional(),
  postcopyWaitedMs: ms.optional(),
  /** The guest ran at its destination and has ended there since, by itself or by an order. */
  ended: endKind.optional(),
  /** It is stopped there, not by the move, as the destination reported when it was verified. */
  halted: halt.optional(),
  vantages: probeReports.optional(),
  /** What was looked at once the guest ran there, and what the comparison of the copies of disks came to. */
  verified: z.array(check).max(128).optional(),
  diskCheck: diskCheck.optional(),
  /** How long the guest's own requests took, by what is known so far. */
  diskLatency: copiedDisks.diskLatency,
  /** How its hypervisor was started, where the guest may have to be started anew. */
  launch: launch.optional(),
  /** What its balloon has taken of it for the move; and what the guest had before, bytes, written down before anything is taken. */
  balloon: ballooned.optional(),
  inflatedFrom: ballooned.shape.takenBytes.optional(),
});
export type StepFacts = z.infer<typeof stepFacts>;
