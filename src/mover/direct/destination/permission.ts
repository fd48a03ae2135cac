import { godwitError } from '../../../errors.ts';
import type { BootTime } from '../../../migration/boot-time.ts';
import type { DestinationState } from '../../../migration/direct/destination/destination.ts';
import { destinationRightAfter } from '../../../migration/direct/run-right.ts';
import {
  hostsInDoubt,
  judgeStart,
  type Claim,
  type StartPermission,
} from '../../../migration/permission/permission.ts';
import { answeredFor, type HostAnswer } from '../../../migration/permission/host-answer.ts';
import type { AskFleet } from '../../../protocol/peer/migration.ts';
import type { HostDoubts } from '../../../protocol/public/resolve.ts';
import type { FleetQuestion } from '../ask-fleet.ts';

export interface PermissionDependencies {
  readonly bootTime: () => BootTime;
  readonly fleet: FleetQuestion;
  readonly since: string;
}

/** Basis for running the guest, with the operator's answers. `at`: time of the proof and the answers. */
export interface Ground {
  readonly claim: Extract<Claim, { kind: 'arrival' }>;
  readonly answersFor: readonly HostDoubts[];
  readonly at: BootTime | undefined;
}

export function groundInJournal({ right, armedIn: bootId, proved }: DestinationState): Ground {
  const byProof = proved !== undefined;
  const claim = { kind: 'arrival', right, byProof, mayBeRecovered: false, bootId } as const;
  return { claim, answersFor: proved?.answersFor ?? [], at: proved?.at };
}

/** Basis from the source's commit before it is journaled. The source does not pass on expired answers. */
export function groundOfCommit(
  { right: before, armedIn: bootId }: DestinationState,
  askFleet: AskFleet | undefined,
  now: BootTime,
): Ground {
  const right = destinationRightAfter(before, 'commit') ?? before;
  const mayBeRecovered = askFleet !== undefined;
  const claim = { kind: 'arrival', right, byProof: false, mayBeRecovered, bootId } as const;
  return { claim, answersFor: askFleet?.answersFor ?? [], at: now };
}

/**
 * Permission to run the guest at its destination. No other host is asked if neither host has rebooted since the
 * destination was armed and no operator intervened: the source's commit, or a valid proof in the journal, suffices.
 * GODWIT_HELD if safety is not proven.
 */
export async function permissionToRun(
  { admission, preparation }: DestinationState,
  { claim, answersFor, at }: Ground,
  { bootTime, fleet, since }: PermissionDependencies,
  signal: AbortSignal,
): Promise<StartPermission> {
  const { guest, id, from: counterpart } = admission;
  const asked = { guest, claim, counterpart, fleet: fleet.names() };
  const answers = new Map<string, HostAnswer>();
  const isProved = (host: string): boolean => host === counterpart && claim.byProof;
  const doubtful = hostsInDoubt({ ...asked, now: bootTime() }).filter((host) => !isProved(host));
  const sought = { guest, uuid: preparation?.description.uuid, id, since };
  for (const [host, answer] of await fleet.ask(doubtful, sought, signal)) {
    answers.set(host, answeredFor(host, answer, answersFor, at));
  }
  if (claim.byProof) {
    answers.set(counterpart, { is: 'off', by: 'the proof in its journal', at });
  }
  const verdict = judgeStart({ ...asked, now: bootTime(), answers });
  if (verdict.kind === 'granted') return verdict.permission;
  const reason = verdict.kind === 'elsewhere' ? `${verdict.host} ${verdict.why}` : verdict.why;
  throw godwitError('GODWIT_HELD', { guest, reason });
}
