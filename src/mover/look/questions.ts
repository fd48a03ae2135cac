import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import type { Driver } from '../../drivers/registry.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { preflightRoutes } from '../../protocol/peer/preflight.ts';
import type { Api } from '../../rpc/client.ts';
import { labels } from '../../protocol/labels.ts';
import { guestHandle } from '../../protocol/mover/handle.ts';
import { sourceMoverRequest } from '../../protocol/mover/request.ts';
import { copiedDisks } from '../../protocol/disk.ts';
import { bytes, checkId, hostName, shortText } from '../../protocol/names.ts';
import { admission, preparation, storageProof } from '../../protocol/peer/migration.ts';
import { layoutDigest, type StandbyCall } from '../../protocol/peer/standby.ts';
import { serialError } from '../../protocol/errors.ts';
import { guestMeasure } from '../../protocol/public/prediction.ts';
import { chosenStream, check, migrationRequest } from '../../protocol/public/migration.ts';
import { knownQuestion, wireOffer } from '../../protocol/wire.ts';

/** Questions of an agent to a separate process, because hung storage blocks a process. */

const placeKey = z.string().regex(/^[0-9a-f]{64}$/);

const asked = admission.extend({ id: checkId });

export const examined = z.object({
  id: checkId,
  request: migrationRequest,
  handle: guestHandle,
  /** Host of the guest, if it is not this agent's. */
  from: hostName.optional(),
  memoryBytes: z.number().nonnegative().optional(),
  /** The destination should keep the guest's description as a standby, if nothing is against it. */
  standby: z.boolean().optional(),
  /** Layout of the guest before the description, with `standby`. */
  digest: layoutDigest.optional(),
  /** Labels of the guest, with `standby`. */
  labels: labels.optional(),
  seen: sourceMoverRequest
    .pick({
      vcpus: true,
      macs: true,
      unbridged: true,
      link: true,
      ownMoves: true,
    })
    .partial(),
});
export type ExaminationRequest = z.infer<typeof examined>;

export const question = z.discriminatedUnion('what', [
  z.object({ what: z.literal('storage'), admission: asked, proof: storageProof, placeKey }),
  z.object({
    what: z.literal('assess'),
    admission: asked,
    preparation,
    placeKey,
    calledAt: z.string().max(64).optional(),
  }),
  z.object({ what: z.literal('known'), admission: asked, cache: knownQuestion }),
  z.object({
    what: z.literal('examine'),
    hosts: z.array(examined).max(10_000),
    /** All of them together, ms. */
    deadlineMs: z.number().positive(),
    measure: z.boolean().optional(),
  }),
]);
export type CheckerQuestion = z.infer<typeof question>;

/** Result for one destination of `examine`, sent once it is done. */
const examinedHost = z.object({
  to: hostName,
  checks: z.array(check),
  /** Data path of memory, if it was chosen. */
  path: z.object({ takes: z.enum(['native', 'wire']), stream: chosenStream.optional() }).optional(),
  offer: wireOffer.optional(),
  /** Disks would be copied before memory. */
  copiesDisks: z.boolean().optional(),
  /** Initial size of the copies; absent if unknown. */
  diskBytes: bytes.optional(),
  diskLatency: copiedDisks.diskLatency,
  /** The guest's hypervisor can reach a socket of this host's mover. */
  reachable: z.boolean().optional(),
  measured: guestMeasure.optional(),
  unmeasured: shortText.optional(),
  /** State that device drivers report to send during the stop. */
  stateBytes: bytes.optional(),
  /** Start time of the looking process, ms; indicates how fast processes start on this host. */
  startedMs: z.number().nonnegative().optional(),
  balloon: z.object({ takesBytes: bytes, availableBytes: bytes }).optional(),
});
export type ExaminedHost = z.infer<typeof examinedHost>;

/** Output line: any number of `host` lines, then one other line that ends the question. */
export const checkerLine = z.union([
  z.object({ host: examinedHost }),
  z.object({ error: serialError }),
  /** `isClear`: nothing of the question is stuck in the process. */
  z.object({ answer: z.unknown(), isClear: z.boolean().optional() }),
]);
export type CheckerLine = z.infer<typeof checkerLine>;

type PreflightCall = keyof typeof preflightRoutes | StandbyCall | 'offerReceiver';

export interface CheckDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly drivers: readonly Driver[];
  /** Other hosts' agents, by name. */
  readonly peers: {
    preflight(name: string): Pick<Api<typeof agentContract>, PreflightCall>;
    /** host:port; undefined if unknown. */
    address(name: string): string | undefined;
    furtherAddresses(name: string): readonly string[];
    linkProbe(
      name: string,
      pad: string,
      options: { readonly signal: AbortSignal; readonly deadlineMs: number },
    ): Promise<unknown>;
  };
}
