import { z } from 'zod';
import { copiedDisks, diskCheck, imagesHere, MAX_PLACES, place } from '../../../protocol/disk.ts';
import { launch } from '../../../protocol/mover/handle.ts';
import { address, hostName, ms } from '../../../protocol/names.ts';
import { nicNetworks } from '../../../protocol/network.ts';
import { guestDescription, running } from '../../../protocol/peer/migration.ts';
import { ballooned } from '../../../protocol/public/balloon.ts';
import { check, chosenStream } from '../../../protocol/public/migration.ts';
import { forecast } from '../../../protocol/public/prediction.ts';
import { probeReports } from '../../../protocol/public/probe.ts';
import { MAX_UNPLUGGED, unplugged } from '../../../protocol/unplug.ts';
import { wireSession } from '../../../protocol/wire.ts';
import { endKind } from '../../../protocol/guest-end.ts';
import { halt } from '../../../protocol/guest-halt.ts';
import { guestSnapshot } from '../../guest-changes/snapshot.ts';

/** Results of a step, kept so that a new mover need not ask again. */
export const stepFacts = z.object({
  description: guestDescription.optional(),
  checks: z.array(check).max(256).optional(),
  /** The guest as the destination was built; absent if its driver reads none. */
  snapshot: guestSnapshot.optional(),
  places: z.array(place).max(MAX_PLACES).optional(),
  copies: z.array(place).max(MAX_PLACES).optional(),
  /** Read-only images on this host's storage, and their places here. */
  bases: z.array(place).max(MAX_PLACES).optional(),
  ...imagesHere,
  unplugged: z.array(unplugged).max(MAX_UNPLUGGED).optional(),
  /** Extra time to hand over and to resume, ms (port/inspection.ts). */
  handsOverMs: z.number().int().nonnegative().max(86_400_000).optional(),
  resumesMs: z.number().int().nonnegative().max(86_400_000).optional(),
  /** Taps of the source, removed once the guest has left. */
  ports: z.array(z.string().max(15)).max(64).optional(),
  networks: nicNetworks.optional(),
  /** Wall clock at the end of the wait for the requested time. */
  beganAtMs: z.number().nonnegative().optional(),
  waited: z.string().max(1024).optional(),
  moverAddress: address.optional(),
  memoryAddress: address.optional(),
  tlsHostname: hostName.optional(),
  streamOver: address.optional(),
  /** Data path of memory with the reason, and a stream that was chosen with it. */
  path: z
    .object({
      takes: z.enum(['native', 'wire']),
      why: z.string().max(1024),
      stream: chosenStream.optional(),
    })
    .optional(),
  ...forecast,
  wire: wireSession.optional(),
  running: running.optional(),
  /** Reported by the destination and by other hosts. */
  firstFrameMs: ms.optional(),
  postcopyWaitedMs: ms.optional(),
  /** The guest ran at its destination and has ended there since. */
  ended: endKind.optional(),
  /** It is stopped there for another reason than the move. */
  halted: halt.optional(),
  vantages: probeReports.optional(),
  verified: z.array(check).max(128).optional(),
  diskCheck: diskCheck.optional(),
  diskLatency: copiedDisks.diskLatency,
  launch: launch.optional(),
  /** Memory that its balloon took, and its memory before, bytes; recorded before anything is taken. */
  balloon: ballooned.optional(),
  inflatedFrom: ballooned.shape.takenBytes.optional(),
});
export type StepFacts = z.infer<typeof stepFacts>;
