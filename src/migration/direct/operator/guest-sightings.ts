import { NO_ANSWER, answerFrom, findingsIn, type Finding } from '../../permission/host-answer.ts';
import type { Answer, HostDoubts, SilentHost } from '../../../protocol/public/resolve.ts';
import type { Sighting } from '../../../protocol/peer/sighting.ts';

export interface GuestSightings {
  readonly id: string;
  /** Time of the request by its host's clock, ISO 8601; undefined if unknown. */
  readonly since: string | undefined;
  readonly uuid: string | undefined;
  readonly sightings: readonly Sighting[];
  readonly unasked: readonly SilentHost[];
}

export interface Evidence extends Pick<Finding, 'kind' | 'doubt'> {
  readonly host: string;
  readonly what: string;
}

const MAX_NAMED = 4;

/** Signs of the guest at another place than its two sides report. */
export function evidenceOf(fleet: GuestSightings, guest: string): Evidence[] {
  return fleet.sightings.flatMap((seen) =>
    findingsIn(seen, { ...fleet, guest }).map(({ kind, doubt, why }) => ({
      host: seen.host,
      kind,
      doubt,
      what: `${seen.host} ${why}`,
    })),
  );
}

/** Doubts that an insisting operator accepts: silent hosts, and possible copies. */
export function doubtsOf(fleet: GuestSightings, guest: string): HostDoubts[] {
  const shown = fleet.sightings.flatMap((seen): HostDoubts[] => {
    const answer = answerFrom(seen, { ...fleet, guest });
    return answer.is === 'may-have' ? [{ host: seen.host, doubts: [...answer.doubts] }] : [];
  });
  // The other side may be in both lists: it cannot report, but has a sighting. List each host once.
  const silent = fleet.unasked.filter(({ host }) => shown.every((each) => each.host !== host));
  return [...shown, ...silent.map(({ host }) => ({ host, doubts: [NO_ANSWER] }))];
}

/**
 * Weighs one answer against the fleet. It is not `safe` while a host is silent or may have the guest. The source is
 * `wrong` if the guest provably ran elsewhere.
 */
export function vouched(answer: Answer, fleet: GuestSightings, guest: string): Answer {
  const evidence = evidenceOf(fleet, guest);
  const proved = evidence.filter(({ kind }) => kind !== 'maybe').map(({ what }) => what);
  const doubts = [
    ...evidence.filter(({ kind }) => kind === 'maybe').map(({ what }) => what),
    ...fleet.unasked.map(({ host, why }) => `${host} was not asked about ${guest}: ${why}`),
  ];
  if (answer.verdict === 'wrong') return answer;
  if (answer.runAt === 'source' && proved.length > 0) {
    return { ...answer, verdict: 'wrong', why: joined(proved), risks: [], proof: 'none' };
  }
  if (doubts.length === 0 || answer.verdict === 'waits') return answer;
  const verdict = answer.verdict === 'safe' ? 'unknown' : answer.verdict;
  return { ...answer, verdict, risks: [...answer.risks.slice(0, MAX_NAMED), joined(doubts)] };
}

export function joined(all: readonly string[]): string {
  const more = all.length > MAX_NAMED ? `; and ${all.length - MAX_NAMED} more` : '';
  return `${all.slice(0, MAX_NAMED).join('; ')}${more}`.slice(0, 4096);
}
