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

/** What an agent has looked at by a process of its own: storage that hangs takes that process along, and no thread of the agent. */

/** Names the places of this host, in hexadecimal. */
const placeKey = z.string().regex(/^[0-9a-f]{64}$/);

/** As it was asked by another host. */
const asked = admission.extend({ id: checkId });

/** A destination that is to be examined, and what the agent has seen of the guest. */
export const examined = z.object({
  id: checkId,
  request: migrationRequest,
  handle: guestHandle,
  /** Its host, where that is none of this agent's. */
  from: hostName.optional(),
  memoryBytes: z.number().nonnegative().optional(),
  /** Where nothing speaks against it, the destination is to keep what starts the guest there. */
  standby: z.boolean().optional(),
  /** With `standby`: of the guest before it is described. */
  digest: layoutDigest.optional(),
  /** With `standby`: what people said of the guest. */
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
    /** The address at which the other host called. */
    calledAt: z.string().max(64).optional(),
  }),
  z.object({ what: z.literal('known'), admission: asked, cache: knownQuestion }),
  z.object({
    what: z.literal('examine'),
    hosts: z.array(examined).max(10_000),
    /** All of them together, ms. */
    deadlineMs: z.number().positive(),
    /** The guest is measured as well. */
    measure: z.boolean().optional(),
  }),
]);
export type CheckerQuestion = z.infer<typeof question>;

/** One destination of `examine`, as soon as it is done. */
const examinedHost = z.object({
  to: hostName,
  checks: z.array(check),
  /** The path that memory would take, as far as it came to that. */
  path: z.object({ takes: z.enum(['native', 'wire']), stream: chosenStream.optional() }).optional(),
  /** What the destination offers of the wire. */
  offer: wireOffer.optional(),
  /** Disks would be copied before memory is sent. */
  copiesDisks: z.boolean().optional(),
  /** How much there is to copy of them at first; absent where that is not known. */
  diskBytes: bytes.optional(),
  /** How long the guest's own requests to those take now, where it was to be measured. */
  diskLatency: copiedDisks.diskLatency,
  /** The guest's hypervisor may come to a socket of this host's mover. */
  reachable: z.boolean().optional(),
  /** Where it was to be measured: what was found, or why nothing was. */
  measured: guestMeasure.optional(),
  unmeasured: shortText.optional(),
  /** What drivers of its devices say that they send while it is stopped. */
  stateBytes: bytes.optional(),
  /** How long the process that looked took to start, ms: a sign of how long others of this host take. */
  startedMs: z.number().nonnegative().optional(),
  /** With `--balloon`: what it would take of the guest. */
  balloon: z.object({ takesBytes: bytes, availableBytes: bytes }).optional(),
});
export type ExaminedHost = z.infer<typeof examinedHost>;

/** A line of the process: `host` as often as there are some; then one of the others, which ends the question. */
export const checkerLine = z.union([
  z.object({ host: examinedHost }),
  z.object({ error: serialError }),
  /** `isClear`: nothing of the question hangs in it. */
  z.object({ answer: z.unknown(), isClear: z.boolean().optional() }),
]);
export type CheckerLine = z.infer<typeof checkerLine>;

type PreflightCall = keyof typeof preflightRoutes | StandbyCall | 'offerReceiver';

/** What this host has to answer a question with. */
export interface CheckDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly drivers: readonly Driver[];
  /** The agents of the other hosts, each by its name. */
  readonly peers: {
    preflight(name: string): Pick<Api<typeof agentContract>, PreflightCall>;
    /** host:port; undefined if this host does not know it. */
    address(name: string): string | undefined;
    furtherAddresses(name: string): readonly string[];
    linkProbe(
      name: string,
      pad: string,
      options: { readonly signal: AbortSignal; readonly deadlineMs: number },
    ): Promise<unknown>;
  };
}
