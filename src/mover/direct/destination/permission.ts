import { godwitError } from '../../../errors.ts';
import type { BootTime } from '../../../migration/boot-time.ts';
import type { DestinationState } from '../../../migration/direct/destination.ts';
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
import type { FleetQuestion } from '../../engine/ask-fleet.ts';

export interface PermissionDependencies {
  readonly bootTime: () => BootTime;
  readonly fleet: FleetQuestion;
  /** ISO 8601: when the migration was requested. */
  readonly since: string;
}

/** On what the guest is to be run, with the operator's word for other hosts. `at`: of the proof and of the word. */
export interface Ground {
  readonly claim: Extract<Claim, { kind: 'arrival' }>;
  readonly answersFor: readonly HostDoubts[];
  readonly at: BootTime | undefined;
}

/** A commit or a proof in the journal. */
export function groundInJournal({ right, armedIn: bootId, proved }: DestinationState): Ground {
  const byProof = proved !== undefined;
  const claim = { kind: 'arrival', right, byProof, mayBeRecovered: false, bootId } as const;
  return { claim, answersFor: proved?.answersFor ?? [], at: proved?.at };
}

/** The source's commit, before it is in the journal. The source passes on no word that has become old. */
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
 * Permission to run the guest at its destination. If neither host was restarted since the destination was armed and no
 * operator intervened, the source's commit, or the proof in the journal as long as it is valid, is enough, and no other
 * host is asked. GODWIT_HELD if it is not known to be safe.
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
