import { godwitError, hasCode, toGodwitError } from '../../../errors.ts';
import { agentContract } from '../../../protocol/contract.ts';
import type { DestinationMoverRequest } from '../../../protocol/mover/request.ts';
import type { Sighting } from '../../../protocol/peer/sighting.ts';
import type { Surroundings } from '../../engine/surroundings.ts';
import type { DestinationMover } from './mover.ts';
import { refuseOverlaid } from './overlaid.ts';
import { takeDownMs } from './destination-context.ts';

/**
 * Starts a guest whose host is dead, as a cold move without its source. What stands for the source's commit is the proof
 * that it is off, and that of every other host of the fleet that it has no part of the guest.
 *
 * The guest's paused hypervisor is built first and the others are asked then: where two hosts do this for one guest, at
 * least one of them sees the other, and neither runs it without having looked.
 */

/** To build it, and to hear from all hosts, ms. The fencing hook has its own time. */
const BUILD_MS = 120_000;
const FENCE_MS = 120_000;
const ANSWER_MS = 10_000;
const AT_ONCE = 32;

type Recovering = DestinationMoverRequest & {
  readonly recovery: NonNullable<DestinationMoverRequest['recovery']>;
};
export type Around = Pick<Surroundings, 'fence' | 'connect' | 'peers' | 'log'>;

export const isRecovery = (request: DestinationMoverRequest): request is Recovering =>
  request.recovery !== undefined;

/** Resolves once the guest runs here, or nothing of it is here. Goes on from where an earlier mover was. */
export async function recoverGuest(
  mover: DestinationMover,
  request: Recovering,
  around: Around,
): Promise<void> {
  const { epoch } = request.admission;
  const endMs = (): number => takeDownMs(mover.state);
  // What an earlier mover has ended.
  if (mover.state.stage === 'finished' || mover.state.stage === 'released') return;
  try {
    if (mover.state.right === 'none') {
      await mover.prepare(request.recovery.preparation, AbortSignal.timeout(BUILD_MS));
      // Before another host is asked, or fenced.
      await refuseOverlays(mover);
    }
    if (mover.state.right !== 'running') await mover.arm(epoch);
    // Whoever takes over after the proof goes on with it: a guest that may have run is never given up.
    const by = mover.state.right === 'running' ? undefined : await provedAlone(request, around);
    // Again: the guest's host may have lived until now, and made one.
    if (by !== undefined) await refuseOverlays(mover);
    await mover.decide(async ({ record, run, state }) => {
      if (by !== undefined) await record({ type: 'resolved', epoch, proof: 'fenced', by });
      if (!state().hasRun) await run(AbortSignal.timeout(BUILD_MS));
    });
    await mover.finish(epoch, AbortSignal.timeout(endMs()));
  } catch (thrown) {
    if (mover.state.right === 'running') throw thrown;
    around.log.warn({ error: toGodwitError(thrown) }, 'the guest is not started here');
    const because = toGodwitError(thrown).toJSON();
    await mover.release(epoch, AbortSignal.timeout(endMs()), because);
  }
}

/** GODWIT_DISK_OVERLAID if another image needs one to which the guest would write. */
const refuseOverlays = (mover: DestinationMover): Promise<void> =>
  mover.decide(({ context, state }) =>
    refuseOverlaid(context, state().preparation, AbortSignal.timeout(BUILD_MS)),
  );

/** The proof that the guest runs nowhere. GODWIT_RECOVERY_UNPROVED with the first thing that is not proved. */
export async function provedAlone(request: Recovering, around: Around): Promise<string> {
  const { id, fromHost: from, admission, recovery } = request;
  const { guest } = admission;
  const unproved = (reason: string): never => {
    throw godwitError('GODWIT_RECOVERY_UNPROVED', { guest, from, reason });
  };
  const { fence, peers } = around;
  if (fence === undefined) {
    return unproved(`${request.toHost} has no fencing hook, and silence proves nothing`);
  }
  const off = new Set([from, ...recovery.off].filter((host) => host !== request.toHost));
  const proofs = await Promise.all(
    [...off].map(async (host) => {
      const own = [request.peer.address, ...(request.peer.addresses ?? [])];
      const addresses = host === from ? own : [];
      const facts = { id, guest, side: 'source', addresses } as const;
      return fence(host, facts, AbortSignal.timeout(FENCE_MS));
    }),
  );
  for (const each of proofs) if (!each.off) unproved(each.why);
  const others = Object.entries(peers?.() ?? {}).filter(([host]) => !off.has(host));
  const found = await whoHas(others, request, around);
  if (found !== undefined) unproved(found);
  const [first] = proofs;
  return first?.off === true ? first.by : unproved('no host was proved off');
}

/** What keeps another host from being known not to have it; undefined where all of them say that they do not. */
async function whoHas(
  others: readonly (readonly [string, { readonly address: string }])[],
  { id, admission, recovery }: Recovering,
  { connect }: Around,
): Promise<string | undefined> {
  const { guest } = admission;
  const { uuid } = recovery.preparation.description;
  const query = { id, ...(uuid === undefined ? {} : { uuid }) };
  const left = [...others];
  const found: string[] = [];
  const ask = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [host, { address }] = next;
      const { api, close } = connect(agentContract, host, address);
      try {
        const options = { deadlineMs: ANSWER_MS };
        const seen = await api.sighting({ params: { guest }, query }, options);
        const has = whatItHas(host, seen);
        if (has !== undefined) found.push(has);
      } catch (thrown) {
        const isSilent = hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE');
        const why = toGodwitError(thrown).message;
        const what = isSilent ? 'is not proved off' : 'does not say whether it has it';
        found.push(`${host} could have it, and ${what}: ${why}`);
      } finally {
        close();
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, ask));
  return found[0];
}

function whatItHas(host: string, { copies, moves }: Sighting): string | undefined {
  const [copy] = copies;
  if (copy !== undefined) return `${host} has it, ${copy.state}`;
  const open = moves.find(({ ended }) => ended !== true);
  return open === undefined ? undefined : `${host} has a part in ${open.id}, which has not ended`;
}
