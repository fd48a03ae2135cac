import { godwitError } from '../../../errors.ts';
import type { BootTime } from '../../../migration/boot-time.ts';
import type { DestinationState } from '../../../migration/direct/destination.ts';
import {
  hostsInDoubt,
  judgeStart,
  type Claim,
  type StartPermission,
} from '../../../migration/permission/permission.ts';
import { answeredFor, type HostAnswer } from '../../../migration/permission/host-answer.ts';
import type { FleetQuestion } from '../../engine/ask-fleet.ts';

export interface PermissionDependencies {
  readonly bootTime: () => BootTime;
  readonly fleet: FleetQuestion;
  /** ISO 8601: when the migration was requested. */
  readonly since: string;
}

/**
 * Permission to run the guest at its destination. Without a restart since it was armed, the source's commit, or the proof
 * in the journal as long as it is valid, is enough, and no other host is asked. GODWIT_HELD if it is not known to be safe.
 */
export async function permissionToRun(
  state: DestinationState,
  { bootTime, fleet, since }: PermissionDependencies,
  signal: AbortSignal,
): Promise<StartPermission> {
  const { guest, id, from: counterpart } = state.admission;
  const claim = arrivalClaim(state);
  const asked = { guest, claim, counterpart, fleet: fleet.names() };
  const { at, answersFor = [] } = state.proved ?? {};
  const answers = new Map<string, HostAnswer>();
  const isProved = (host: string): boolean => host === counterpart && state.proved !== undefined;
  const doubtful = hostsInDoubt({ ...asked, now: bootTime() }).filter((host) => !isProved(host));
  const sought = { guest, uuid: state.preparation?.description.uuid, id, since };
  for (const [host, answer] of await fleet.ask(doubtful, sought, signal)) {
    answers.set(host, answeredFor(host, answer, answersFor, at));
  }
  if (state.proved !== undefined) {
    answers.set(counterpart, { is: 'off', by: 'the proof in its journal', at });
  }
  const verdict = judgeStart({ ...asked, now: bootTime(), answers });
  if (verdict.kind === 'granted') return verdict.permission;
  const reason = verdict.kind === 'elsewhere' ? `${verdict.host} ${verdict.why}` : verdict.why;
  throw godwitError('GODWIT_HELD', { guest, reason });
}

function arrivalClaim({ right, armedIn, proved }: DestinationState): Claim {
  return { kind: 'arrival', right, byProof: proved !== undefined, bootId: armedIn };
}
