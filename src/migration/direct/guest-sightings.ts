import type { Answer, Unasked } from '../../protocol/public/resolve.ts';
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
  readonly unasked: readonly Unasked[];
}

/**
 * `ran`: it proves that the guest runs, or has run, outside of its source since. `halted`: a copy with its UUID that does not
 * run now. `maybe`: it may be that guest, or another.
 */
export interface Evidence {
  /** The host that shows it. */
  readonly host: string;
  readonly kind: 'ran' | 'halted' | 'maybe';
  readonly what: string;
}

/** More than this is not read out: the first few decide. */
const MOST_NAMED = 4;

/** What speaks for the guest being, or having been, somewhere else than its two sides say. */
export function evidenceOf(fleet: GuestSightings, guest: string): Evidence[] {
  return fleet.sightings.flatMap((seen) => [
    ...copiesIn(seen, fleet, guest),
    ...forgottenBy(seen, fleet),
    ...movesIn(seen, fleet),
  ]);
}

/** Hosts that did not answer, or show something that may be the guest: an operator who insists answers for them. */
export function hostsToAnswerFor(fleet: GuestSightings, guest: string): string[] {
  const shown = evidenceOf(fleet, guest).filter(({ kind }) => kind === 'maybe');
  const hosts = [...shown.map(({ host }) => host), ...fleet.unasked.map(({ host }) => host)];
  return [...new Set(hosts)];
}

function copiesIn({ host, copies }: Sighting, { uuid }: GuestSightings, guest: string): Evidence[] {
  return copies.flatMap((copy): Evidence[] => {
    if (copy.state === 'incoming') return [];
    if (uuid !== undefined && copy.uuid !== undefined) {
      if (copy.uuid !== uuid) return [];
      const kind = copy.state === 'running' || copy.state === 'migrating' ? 'ran' : 'halted';
      return [{ host, kind, what: `${host} has ${guest} (${copy.state}, by its UUID)` }];
    }
    const what = `${host} has a guest of the name ${guest} (${copy.state})`;
    return [{ host, kind: 'maybe', what }];
  });
}

/** Its state was made, or put back from a backup, since the migration began. */
function forgottenBy({ host, storeSince }: Sighting, { since }: GuestSightings): Evidence[] {
  if (storeSince === undefined || since === undefined || storeSince <= since) return [];
  const what = `the state of ${host} is from ${storeSince}, after the migration began: it may have forgotten`;
  return [{ host, kind: 'maybe', what }];
}

function movesIn({ host, moves }: Sighting, { id, since }: GuestSightings): Evidence[] {
  return moves.flatMap((move): Evidence[] => {
    const route = `${move.id}, from ${move.from} to ${move.to}`;
    // Only a guest that runs is sent on: it ran where this migration brought it.
    if (move.lineage.includes(id)) {
      return [{ host, kind: 'ran', what: `${host} reports that it was sent on since (${route})` }];
    }
    // By the clocks of two hosts: it makes nothing wrong, but nothing is called safe beside it.
    if (since === undefined || move.createdAt <= since) return [];
    const what = `${host} reports a later migration of that name (${route})`;
    return [{ host, kind: 'maybe', what }];
  });
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
  return { ...answer, verdict, risks: [...answer.risks.slice(0, MOST_NAMED), joined(doubts)] };
}

export function joined(all: readonly string[]): string {
  const more = all.length > MOST_NAMED ? `; and ${all.length - MOST_NAMED} more` : '';
  return `${all.slice(0, MOST_NAMED).join('; ')}${more}`.slice(0, 4096);
}
