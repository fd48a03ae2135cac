import { NO_ANSWER, answerFrom, findingsIn, type Finding } from '../permission/host-answer.ts';
import type { Answer, HostDoubts, SilentHost } from '../../protocol/public/resolve.ts';
import type { Sighting } from '../../protocol/peer/sighting.ts';

/** What the whole fleet says of the guest of one migration. */
export interface GuestSightings {
  /** The migration that is judged. */
  readonly id: string;
  /** When it was asked for, ISO 8601, by its host's clock; undefined where that is not known. */
  readonly since: string | undefined;
  /** The guest's UUID; undefined where its hypervisor has none. */
  readonly uuid: string | undefined;
  readonly sightings: readonly Sighting[];
  /** Hosts that could not be asked, or could not say. */
  readonly unasked: readonly SilentHost[];
}

/** What one host shows of the guest, read out with the host's name. */
export interface Evidence extends Pick<Finding, 'kind' | 'doubt'> {
  readonly host: string;
  readonly what: string;
}

/** More than this is not read out: the first few decide. */
const MAX_NAMED = 4;

/** What speaks for the guest being, or having been, somewhere else than its two sides say. */
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

/** What an operator who insists answers for: hosts that did not answer, or show something that may be the guest. */
export function doubtsOf(fleet: GuestSightings, guest: string): HostDoubts[] {
  const shown = fleet.sightings.flatMap((seen): HostDoubts[] => {
    const answer = answerFrom(seen, { ...fleet, guest });
    return answer.is === 'may-have' ? [{ host: seen.host, doubts: [...answer.doubts] }] : [];
  });
  // The other side of the migration may be in both lists: it cannot report its side, and its sighting shows something. An
  // operator answers once for each host.
  const silent = fleet.unasked.filter(({ host }) => shown.every((each) => each.host !== host));
  return [...shown, ...silent.map(({ host }) => ({ host, doubts: [NO_ANSWER] }))];
}

/**
 * What one answer is worth once the fleet was asked. Nothing is safe as long as a host cannot be asked, or shows what may
 * be that guest; and what the guest is proved to have done elsewhere makes its source wrong.
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
