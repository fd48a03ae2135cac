import { godwitError, toGodwitError } from '../../../errors.ts';
import type { HostAnswer } from '../../../migration/permission/host-answer.ts';
import { judgeStart } from '../../../migration/permission/permission.ts';
import { passedMs } from '../../../migration/standby/boot-moment.ts';
import type { BootMoment } from '../../../migration/standby/boot-moment.ts';
import { whyOutlived } from '../../../migration/standby/freshness.ts';
import { formatDuration } from '../../../protocol/quantity.ts';
import type { DestinationMoverRequest } from '../../../protocol/mover/request.ts';
import { fleetQuestion } from '../../engine/ask-fleet.ts';
import type { Surroundings } from '../../engine/surroundings.ts';
import type { DestinationMover } from './mover.ts';
import { refuseOverlaid } from './overlaid.ts';
import { takeDownMs } from './destination-context.ts';

/**
 * Starts a guest whose host is dead, as a cold move without its source. The proof that its host is off, and every other
 * host's answer that it has no part of the guest, stand for the source's commit.
 *
 * The guest's paused hypervisor is built first and the others are asked then: if two hosts do this for one guest, at
 * least one of them sees the other, and neither runs it without having looked.
 */

/** To build it, and to hear from all hosts, ms. The fencing hook has its own time. */
const BUILD_MS = 120_000;
const FENCE_MS = 120_000;
/** For the answers of all other hosts of the fleet, ms. */
const ASK_MS = 120_000;

type Recovering = DestinationMoverRequest & {
  readonly recovery: NonNullable<DestinationMoverRequest['recovery']>;
};
export type Around = Pick<
  Surroundings,
  'fence' | 'connect' | 'peers' | 'log' | 'bootId' | 'bootMoment'
>;

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
  if (isVoid(mover.state, around.bootId())) {
    // Nothing of the guest runs here since this host was restarted, and another host may have recovered it meanwhile.
    const why = `${request.toHost} was restarted before it ran the guest`;
    around.log.warn({ epoch, why }, 'recovery given up');
    await mover.decide(async ({ record, release }) => {
      await record({ type: 'overruled', epoch, why });
      await release(why, AbortSignal.timeout(endMs()));
    });
    return;
  }
  try {
    if (mover.state.right === 'none') {
      await mover.prepare(request.recovery.preparation, AbortSignal.timeout(BUILD_MS));
      // Before another host is asked, or fenced.
      await refuseOverlays(mover);
    }
    if (mover.state.right !== 'running') await mover.arm(epoch);
    // A guest that may have run is never given up: a mover that takes over after the proof carries it out.
    const by = mover.state.right === 'running' ? undefined : await provedAlone(request, around);
    if (by !== undefined) refuseOutlived(request, around.bootMoment());
    // Again: the guest's host may have lived until now, and made one.
    if (by !== undefined) await refuseOverlays(mover);
    await mover.decide(async ({ record, run, state }) => {
      const bootId = around.bootId();
      if (by !== undefined) await record({ type: 'resolved', epoch, proof: 'fenced', by, bootId });
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

/**
 * GODWIT_STANDBY_STALE if the guest's host was proved off too long after it confirmed the description: it may have lived until
 * then, silent to this host, and changed the guest.
 */
function refuseOutlived({ recovery, ...request }: Recovering, offAt: BootMoment): void {
  const { confirmed } = recovery;
  const reason = confirmed === undefined ? undefined : whyOutlived(confirmed.at, offAt);
  if (confirmed === undefined || reason === undefined) return;
  const { toHost: host, fromHost: from, admission } = request;
  const { number, disks } = confirmed;
  const ageMs = passedMs(confirmed.at, offAt);
  const age =
    ageMs === undefined ? 'before this host was restarted' : `${formatDuration(ageMs)} ago`;
  const facts = { host, guest: admission.guest, from, reason, age, disks, number };
  throw godwitError('GODWIT_STANDBY_STALE', facts);
}

/** GODWIT_DISK_OVERLAID if another image needs one to which the guest would write. */
const refuseOverlays = (mover: DestinationMover): Promise<void> =>
  mover.decide(({ context, state }) =>
    refuseOverlaid(context, state().preparation, AbortSignal.timeout(BUILD_MS)),
  );

/** It was armed, or even proved alone, in an earlier boot, and no record shows that it ran. */
function isVoid({ right, hasRun, armedIn }: DestinationMover['state'], bootId: string): boolean {
  return (right === 'armed' || right === 'running') && !hasRun && armedIn !== bootId;
}

/** The proof that the guest runs nowhere. GODWIT_RECOVERY_UNPROVED with the first thing that is not proved. */
export async function provedAlone(request: Recovering, around: Around): Promise<string> {
  const { id, fromHost: from, admission, recovery } = request;
  const { guest } = admission;
  const unproved = (reason: string): never => {
    throw godwitError('GODWIT_RECOVERY_UNPROVED', { guest, from, reason });
  };
  const { fence } = around;
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
  const bootId = around.bootId();
  const fleet = fleetQuestion(around);
  const others = fleet.names().filter((host) => !off.has(host));
  const { uuid } = recovery.preparation.description;
  const sought = { guest, uuid, id, since: recovery.keptAt };
  const signal = AbortSignal.timeout(ASK_MS);
  const answers = new Map<string, HostAnswer>(await fleet.ask(others, sought, signal));
  const [first] = proofs;
  const by = first?.off === true ? first.by : unproved('no host was proved off');
  for (const host of off) answers.set(host, { is: 'off', by, bootId });
  const verdict = judgeStart({
    guest,
    bootId,
    claim: { kind: 'recovery', bootId: undefined },
    counterpart: from,
    fleet: fleet.names(),
    answers,
  });
  if (verdict.kind === 'granted') return by;
  return unproved(verdict.kind === 'elsewhere' ? `${verdict.host} ${verdict.why}` : verdict.why);
}
