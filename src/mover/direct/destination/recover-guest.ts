import { godwitError, hasCode, toGodwitError } from '../../../errors.ts';
import type { HostAnswer } from '../../../migration/permission/host-answer.ts';
import { judgeStart, type StartPermission } from '../../../migration/permission/permission.ts';
import { passedMs, type BootTime } from '../../../migration/boot-time.ts';
import { whyOutlived } from '../../../migration/standby/freshness.ts';
import { formatDuration } from '../../../protocol/quantity.ts';
import type { DestinationMoverRequest } from '../../../protocol/mover/request.ts';
import { fleetQuestion } from '../ask-fleet.ts';
import type { Surroundings } from '../../shared/surroundings.ts';
import type { DestinationMover } from './mover.ts';
import { findChanged } from './disks/changed-images.ts';
import { refuseOverlaidRecovery } from './disks/overlaid.ts';
import { takeDownMs } from './destination-context.ts';

/**
 * Starts a guest of a dead host, as a cold move without its source. Proof that its host is off, and every other
 * host's answer that it has no part of the guest, replace the source's commit.
 *
 * The paused hypervisor is built before the others are asked. If two hosts recover the same guest, at least one of
 * them then sees the other.
 */

/** Time to build it and to ask all hosts, ms, without the fencing hook. */
const BUILD_MS = 120_000;
const FENCE_MS = 120_000;
const ASK_MS = 30_000;
/** Answer of a hypervisor that an earlier mover built, ms. */
const LOOK_MS = 20_000;

type Recovering = DestinationMoverRequest & {
  readonly recovery: NonNullable<DestinationMoverRequest['recovery']>;
};
export type Around = Pick<Surroundings, 'fence' | 'connect' | 'peers' | 'log' | 'bootTime'>;

export const isRecovery = (request: DestinationMoverRequest): request is Recovering =>
  request.recovery !== undefined;

/** Resolves once the guest runs here, or nothing of it is here. Continues an earlier mover's work. */
export async function recoverGuest(
  mover: DestinationMover,
  request: Recovering,
  around: Around,
): Promise<void> {
  const { epoch } = request.admission;
  const endMs = (): number => takeDownMs(mover.state);
  if (mover.state.stage === 'finished' || mover.state.stage === 'released') return;
  if (isVoid(mover.state, around.bootTime().bootId)) {
    // Nothing of the guest has run here since the reboot, and another host may have recovered it.
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
      // Before another host is asked or fenced.
      await refuseOverlays(mover);
    }
    if (mover.state.right !== 'running') await mover.arm(epoch);
    if (!(await hasStarted(mover))) await proveAndRun(mover, request, around);
    else if (mover.state.hypervisor === 'gone') {
      // It ran here and ended, perhaps by a power loss. An open recovery would block its name.
      await mover.decide(({ tearDown }) => tearDown(AbortSignal.timeout(endMs())));
      return;
    }
    await mover.finish(epoch, AbortSignal.timeout(endMs()));
  } catch (thrown) {
    const { right } = mover.state;
    const isUnproved = hasCode(
      thrown,
      'GODWIT_RECOVERY_UNPROVED',
      'GODWIT_STANDBY_STALE',
      'GODWIT_DISK_OVERLAID',
    );
    // A guest that may have run here is never given up. Without a new proof it has not: its hypervisor was asked
    // before.
    if (right === 'running' && !isUnproved) throw thrown;
    around.log.warn({ error: toGodwitError(thrown) }, 'the guest is not started here');
    const because = toGodwitError(thrown);
    const signal = AbortSignal.timeout(endMs());
    if (right !== 'running') {
      return await mover.release(epoch, signal, { because: because.toJSON() });
    }
    const why = because.message.slice(0, 1024);
    await mover.decide(async ({ record, release }) => {
      await record({ type: 'overruled', epoch, why });
      await record({ type: 'failed', error: because.toJSON() });
      await release(why, signal);
    });
  }
}

/**
 * GODWIT_STANDBY_STALE if the guest's host was proved off too long after it confirmed the description, because it may
 * have changed the guest meanwhile, or if an image below the top of a disk changed since.
 */
async function refuseOutdated(
  mover: DestinationMover,
  { recovery, ...request }: Recovering,
  offAt: BootTime,
): Promise<void> {
  const { confirmed } = recovery;
  if (confirmed === undefined) return;
  const { at, number, disks, images } = confirmed;
  const changed = await mover.decide(({ context, state }) =>
    findChanged(context, state().preparation, images),
  );
  const reason =
    whyOutlived(at, offAt) ??
    (changed === undefined ? undefined : `${changed} was written to after its host confirmed it`);
  if (reason === undefined) return;
  const { toHost: host, fromHost: from, admission } = request;
  const ageMs = passedMs(at, offAt);
  const age =
    ageMs === undefined ? 'before this host was restarted' : `${formatDuration(ageMs)} ago`;
  const facts = { host, guest: admission.guest, from, reason, age, disks, number };
  throw godwitError('GODWIT_STANDBY_STALE', facts);
}

/**
 * Every mover obtains a new proof, even if an earlier one recorded its own: the guest's host may have been switched
 * on since and started the guest.
 */
async function proveAndRun(
  mover: DestinationMover,
  request: Recovering,
  around: Around,
): Promise<void> {
  const { epoch } = request.admission;
  const proof = await proveOff(request, around);
  await refuseOutdated(mover, request, around.bootTime());
  // Repeated: the guest's host may have made an overlay meanwhile.
  await refuseOverlays(mover);
  await mover.decide(async ({ record, run }) => {
    const permission = await permissionAlone(request, around, proof);
    const { by, at } = proof;
    await record({ type: 'resolved', epoch, proof: 'fenced', by, ...at });
    await run(AbortSignal.timeout(BUILD_MS), permission);
  });
}

async function hasStarted(mover: DestinationMover): Promise<boolean> {
  if (mover.state.right !== 'running') return false;
  return mover.decide(({ runsHere }) => runsHere(AbortSignal.timeout(LOOK_MS)));
}

/** GODWIT_DISK_OVERLAID if another image is based on one that the guest would write to. */
const refuseOverlays = (mover: DestinationMover): Promise<void> =>
  mover.decide(({ context, state }) =>
    refuseOverlaidRecovery(context, state().preparation, AbortSignal.timeout(BUILD_MS)),
  );

/** Armed or proved in an earlier boot, without a record that it ran. */
function isVoid({ right, hasRun, armedIn }: DestinationMover['state'], bootId: string): boolean {
  return (right === 'armed' || right === 'running') && !hasRun && armedIn !== bootId;
}

interface OffProof {
  readonly hosts: ReadonlySet<string>;
  readonly by: string;
  readonly at: BootTime;
}

function unproved({ fromHost: from, admission: { guest } }: Recovering, reason: string): Error {
  return godwitError('GODWIT_RECOVERY_UNPROVED', { guest, from, reason });
}

/** Proof that the guest's host is off. GODWIT_RECOVERY_UNPROVED with the first unproved host. */
export async function proveOff(request: Recovering, around: Around): Promise<OffProof> {
  const { id, fromHost: from, admission, recovery } = request;
  const { guest } = admission;
  const { fence } = around;
  if (fence === undefined) {
    const why = `${request.toHost} has no fencing hook, and silence proves nothing`;
    throw unproved(request, why);
  }
  const hosts = new Set([from, ...recovery.off].filter((host) => host !== request.toHost));
  const proofs = await Promise.all(
    [...hosts].map(async (host) => {
      const own = [request.peer.address, ...(request.peer.addresses ?? [])];
      const addresses = host === from ? own : [];
      const facts = { id, guest, side: 'source', addresses } as const;
      const proof = await fence(host, facts, AbortSignal.timeout(FENCE_MS));
      return { ...proof, at: around.bootTime() };
    }),
  );
  for (const each of proofs) if (!each.off) throw unproved(request, each.why);
  const [first, ...others] = proofs;
  if (first?.off !== true) throw unproved(request, 'no host was proved off');
  const at = others.reduce((least, each) => earlier(least, each.at), first.at);
  return { hosts, by: first.by, at };
}

function earlier(one: BootTime, other: BootTime): BootTime {
  return other.uptimeMs < one.uptimeMs ? other : one;
}

/**
 * Permission to start the guest at once: no other host has it. GODWIT_RECOVERY_UNPROVED with the first missing proof.
 */
export async function permissionAlone(
  request: Recovering,
  around: Around,
  { hosts: off, by, at }: OffProof,
): Promise<StartPermission> {
  const { id, fromHost: counterpart, admission, recovery } = request;
  const { guest } = admission;
  const question = fleetQuestion(around);
  const fleet = question.names();
  const { uuid } = recovery.preparation.description;
  const sought = { guest, uuid, id, since: recovery.keptAt };
  const others = fleet.filter((host) => !off.has(host));
  const signal = AbortSignal.timeout(ASK_MS);
  const answers = new Map<string, HostAnswer>(await question.ask(others, sought, signal));
  for (const host of off) answers.set(host, { is: 'off', by, at });
  const claim = { kind: 'recovery' } as const;
  const now = around.bootTime();
  const verdict = judgeStart({ guest, now, claim, counterpart, fleet, answers });
  if (verdict.kind === 'granted') return verdict.permission;
  const why = verdict.kind === 'elsewhere' ? `${verdict.host} ${verdict.why}` : verdict.why;
  throw unproved(request, why);
}
