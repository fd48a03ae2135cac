import type { BootTime } from '../boot-time.ts';
import type { HostDoubts } from '../../protocol/public/resolve.ts';
import type { Sighting } from '../../protocol/peer/sighting.ts';

/**
 * Knowledge of one host that may hold a copy of a guest. An unknown migration (`GODWIT_MIGRATION_UNKNOWN`) proves
 * nothing: an agent that lost its state answers the same. `without` rests on a recorded refusal, or on a sighting,
 * which is judged by the age of the host's state.
 */
export type HostAnswer =
  /** It does not have the guest and cannot start it. */
  | { readonly is: 'without' }
  | { readonly is: 'has'; readonly why: string }
  /** It holds a part of the guest, or may have forgotten one. */
  | { readonly is: 'may-have'; readonly why: string; readonly doubts: readonly string[] }
  | { readonly is: 'silent'; readonly why: string }
  /** It was proved off. `at`: by this host's clock; undefined if unknown. */
  | { readonly is: 'off'; readonly by: string; readonly at: BootTime | undefined }
  | { readonly is: 'named'; readonly by: string; readonly at: BootTime | undefined };

export interface GuestSought {
  readonly guest: string;
  readonly uuid: string | undefined;
  readonly id: string;
  /** ISO 8601; the asking host already knows what happened before. */
  readonly since: string | undefined;
}

/**
 * One sign of a guest on a host. `ran`: it runs there, or ran there and was sent on. `halted`: a copy with its UUID
 * that does not run now. `maybe`: it may be the guest.
 */
export interface Finding {
  readonly kind: 'ran' | 'halted' | 'maybe';
  /** Identifies the finding; an operator who accepted it answers for no other. */
  readonly doubt: string;
  /** Follows the host's name. */
  readonly why: string;
}

export const NO_ANSWER = 'no answer';
/** Beyond this, the first doubts and the count are accepted. */
const MAX_DOUBTS = 16;

/** Anything that may be the guest counts against its start. */
export function answerFrom(seen: Sighting, sought: GuestSought): HostAnswer {
  const found = findingsIn(seen, sought);
  const certain = found.find(({ kind }) => kind !== 'maybe');
  if (certain !== undefined) return { is: 'has', why: certain.why };
  const [first] = found;
  if (first === undefined) return { is: 'without' };
  return { is: 'may-have', why: first.why, doubts: doubtsIn(found) };
}

/** All signs of the guest on a host, for a start and for `godwit resolve`. */
export function findingsIn(seen: Sighting, sought: GuestSought): Finding[] {
  return [...copiesIn(seen, sought), ...movesIn(seen, sought), ...forgottenBy(seen, sought)];
}

export function doubtsIn(findings: readonly Finding[]): string[] {
  const all = [...new Set(findings.map(({ doubt }) => doubt))];
  if (all.length <= MAX_DOUBTS) return all;
  return [...all.slice(0, MAX_DOUBTS - 1), `${all.length - MAX_DOUBTS + 1} more`];
}

/**
 * Applies the operator's answer, which covers only what the operator was shown of that host. It does not cover later
 * signs, and never a host that has the guest.
 */
export function answeredFor(
  host: string,
  answer: HostAnswer,
  words: readonly HostDoubts[],
  at: BootTime | undefined,
): HostAnswer {
  const shown = words.find((word) => word.host === host)?.doubts ?? [];
  const open = openDoubts(answer);
  if (open.length === 0 || !open.every((doubt) => shown.includes(doubt))) return answer;
  return { is: 'named', by: 'operator', at };
}

function openDoubts(answer: HostAnswer): readonly string[] {
  if (answer.is === 'silent') return [NO_ANSWER];
  return answer.is === 'may-have' ? answer.doubts : [];
}

function copiesIn({ copies }: Sighting, { guest, uuid }: GuestSought): Finding[] {
  return copies.flatMap((copy): Finding[] => {
    const isIncoming = copy.state === 'incoming';
    if (uuid !== undefined && copy.uuid !== undefined) {
      if (copy.uuid !== uuid) return [];
      if (!isIncoming) {
        const kind = copy.state === 'running' || copy.state === 'migrating' ? 'ran' : 'halted';
        return [{ kind, doubt: 'its guest', why: `has ${guest} (${copy.state}, by its UUID)` }];
      }
    }
    const what = isIncoming ? 'builds a copy of it' : `has a guest of that name`;
    return [{ kind: 'maybe', doubt: `copy ${copy.state}`, why: `${what} (${copy.state})` }];
  });
}

function movesIn({ host, moves }: Sighting, { id, since }: GuestSought): Finding[] {
  return moves.flatMap((move): Finding[] => {
    const route = `${move.id}, from ${move.from} to ${move.to}`;
    const maybe = (why: string): Finding[] => [
      { kind: 'maybe', doubt: `migration ${move.id}`, why: `${why} ${route}` },
    ];
    // Only a running guest is sent on, so it ran where this migration brought it.
    if (move.lineage.includes(id)) {
      return [{ kind: 'ran', doubt: 'its guest', why: `has sent it on since (${route})` }];
    }
    if (move.ended !== true) return maybe('has a part, which has not ended, in');
    // Earlier migrations cannot matter: the guest was seen later at the asking host or its dead source.
    if (since === undefined || move.createdAt <= since) return [];
    const isHere = move.to === host && move.runsAt === 'destination';
    return move.runsAt === 'unknown' || isHere ? maybe('may have run it since, by') : [];
  });
}

/** The host's state was created or restored from a backup since, so it may have forgotten a part. */
function forgottenBy({ storeSince }: Sighting, { since }: GuestSought): Finding[] {
  if (storeSince === undefined || since === undefined || storeSince <= since) return [];
  const why = `may have forgotten it: its state is from ${storeSince}`;
  return [{ kind: 'maybe', doubt: `state from ${storeSince}`, why }];
}
