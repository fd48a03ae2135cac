import type { BootTime } from '../direct/run-right.ts';
import type { Sighting } from '../../protocol/peer/sighting.ts';

/** What is known of one host that may hold a copy of a guest. */
export type HostAnswer =
  /** It answers, and neither has the guest nor may come to run it. */
  | { readonly is: 'without' }
  /** It answers, and has the guest, or has sent it on. */
  | { readonly is: 'has'; readonly why: string }
  /** It answers, and holds a part of the guest, or may have forgotten one. `why` follows the host's name. */
  | { readonly is: 'may-have'; readonly why: string }
  | { readonly is: 'silent'; readonly why: string }
  /** It was proved off. `at`: by this host's own clock; undefined if that is not known. */
  | { readonly is: 'off'; readonly by: string; readonly at: BootTime | undefined }
  /** An operator answered for it. */
  | { readonly is: 'named'; readonly by: string; readonly at: BootTime | undefined };

export interface GuestSought {
  readonly guest: string;
  /** The guest's UUID; undefined if its hypervisor has none. */
  readonly uuid: string | undefined;
  /** The migration or recovery that asks. */
  readonly id: string;
  /** ISO 8601: what a host did with the guest before is known to the asking host already. */
  readonly since: string | undefined;
}

/** What a host's sighting of the guest amounts to. Anything that cannot be told apart from the guest counts against the start. */
export function answerFrom(seen: Sighting, sought: GuestSought): HostAnswer {
  const has = copyIn(seen, sought);
  if (has?.is === 'has') return has;
  return moveIn(seen, sought) ?? has ?? forgottenBy(seen, sought) ?? { is: 'without' };
}

/** The first that decides: a copy with the guest's UUID, then any copy that may be it. */
function copyIn({ copies }: Sighting, { guest, uuid }: GuestSought): HostAnswer | undefined {
  const same = copies.find((copy) => isSame(copy.uuid, uuid) && copy.state !== 'incoming');
  if (same !== undefined) return { is: 'has', why: `has ${guest} (${same.state}, by its UUID)` };
  const other = copies.find((copy) => copy.uuid === undefined || isSame(copy.uuid, uuid, true));
  if (other === undefined) return undefined;
  const what = other.state === 'incoming' ? 'builds a copy of it' : `has a guest of that name`;
  return { is: 'may-have', why: `${what} (${other.state})` };
}

/** `orUnknown`: also if one of the two has none. */
function isSame(left: string | undefined, right: string | undefined, orUnknown = false): boolean {
  if (left === undefined || right === undefined) return orUnknown;
  return left === right;
}

function moveIn({ host, moves }: Sighting, { id, since }: GuestSought): HostAnswer | undefined {
  for (const move of moves) {
    const route = `${move.id}, from ${move.from} to ${move.to}`;
    // Only a guest that runs is sent on: it ran where this migration brought it.
    if (move.lineage.includes(id)) return { is: 'has', why: `has sent it on since (${route})` };
    if (move.ended !== true) {
      return { is: 'may-have', why: `has a part in ${route}, which has not ended` };
    }
    // The guest was seen at the asking host, or at its dead source, after any earlier migration.
    if (since === undefined || move.createdAt <= since) continue;
    if (move.runsAt === 'unknown' || (move.to === host && move.runsAt === 'destination')) {
      return { is: 'may-have', why: `may have run it since (${route})` };
    }
  }
  return undefined;
}

/** Its state was made, or put back from a backup, since: it may have forgotten a part that it had. */
function forgottenBy({ storeSince }: Sighting, { since }: GuestSought): HostAnswer | undefined {
  if (storeSince === undefined || since === undefined || storeSince <= since) return undefined;
  return { is: 'may-have', why: `may have forgotten it: its state is from ${storeSince}` };
}
