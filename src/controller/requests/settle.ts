import { godwitError, type SerialError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { isAt, ownOf, type World } from './facts.ts';
import { isOpen, nextMovePhase, type MoveAnswer } from './moves.ts';
import type { Move, Tries, FleetRequest } from '../../protocol/controller/fleet-request.ts';

export interface Sight {
  readonly seen: MoveAnswer;
  readonly error?: SerialError;
}

/** A migration that its agent forgot after this time has ended. */
const FORGOTTEN_MS = 60_000;
/** A guest not seen at its destination after this time has moved on. */
const GONE_ON_MS = 30_000;
const FIRST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 300_000;

export function sighted(move: Move, sight: Sight | undefined, world: World): Move {
  const judged = sight === undefined ? undefined : judge(move, sight, world);
  const phase = judged === undefined ? move.phase : nextMovePhase(move.phase, judged.seen);
  const error = judged?.error ?? move.error;
  const ended = isOpen(move.phase) && !isOpen(phase);
  const next: Move = {
    ...move,
    phase,
    ...defined({ error }),
    ...(ended ? { endedAtMs: world.nowMs } : {}),
    ...(phase === 'withdrawing' ? { withdrawn: true } : {}),
  };
  return { ...next, settled: next.settled || isSettled(next, world) };
}

/** If its agent does not know the move or is gone, the guest's place shows how it ended. */
function judge(move: Move, sight: Sight, world: World): Sight {
  const { id, phase, from, to } = move;
  const isForgotten = phase === 'running' && sight.seen === 'unknown';
  // A source that left the fleet does not answer; only the destination decides.
  const isDead = move.recovers !== undefined;
  const hasLeft = !isDead && phase !== 'held' && sight.seen === 'silent' && !world.hosts.has(from);
  if (!isForgotten && !hasLeft) return sight;
  if (world.nowMs - move.createdAtMs < FORGOTTEN_MS) return { seen: 'silent' };
  const hosts = hasLeft || isDead ? [to] : [from, to];
  const isHeard = (host: string): boolean =>
    world.hosts.has(host) && world.hosts.get(host)?.silentSinceMs === undefined;
  if (!hosts.every(isHeard)) return { seen: 'silent' };
  const guest = world.guests.get(move.guest);
  const homes = hosts.filter((host) => isAt(guest, host));
  const isListed = guest?.at.some(({ host }) => hosts.includes(host)) === true;
  if (homes.length > 1 || (homes.length === 0 && isListed)) return { seen: 'silent' };
  if (homes[0] === to) return { seen: 'done' };
  const hint = `Look for ${move.guest} with \`godwit guests\`: no host of its move has it.`;
  const isGone = homes.length === 0;
  const error = godwitError(
    'GODWIT_MIGRATION_UNKNOWN',
    { id, host: from },
    isGone ? { hint } : {},
  ).toJSON();
  return { seen: isGone && !isDead ? 'lost' : 'failed', error };
}

function isSettled(move: Move, { guests, nowMs, hosts }: World): boolean {
  if (isOpen(move.phase)) return false;
  if (move.phase !== 'done') return true;
  const guest = guests.get(move.guest);
  // The look may be older than the move's end: room is kept until the guest is seen there.
  if (isAt(guest, move.to) && !isAt(guest, move.from)) return true;
  const seenAtMs = hosts.get(move.to)?.seenAtMs ?? 0;
  return nowMs - (move.endedAtMs ?? nowMs) > GONE_ON_MS && seenAtMs > (move.endedAtMs ?? nowMs);
}

export function triesAfter(
  request: FleetRequest,
  before: readonly Move[],
  after: readonly Move[],
  { nowMs, isCancelled }: { readonly nowMs: number; readonly isCancelled: boolean },
): FleetRequest {
  const tries: Record<string, Tries> = { ...request.tries };
  let { moved } = request;
  for (const [place, move] of after.entries()) {
    const old = before[place];
    if (old === undefined || !isOpen(old.phase) || isOpen(move.phase)) continue;
    if (move.phase === 'done') moved += 1;
    // Without an error it was cancelled before it was tried.
    else if (move.phase !== 'dropped' || move.error !== undefined) {
      const next = failed(ownOf(tries, move.guest), move, nowMs);
      const isPersons = !isCancelled && wasCancelledByPerson(move);
      tries[move.guest] = isPersons ? { ...next, cancelled: move.id } : next;
    }
  }
  return { ...request, tries, moved };
}

const wasCancelledByPerson = ({ phase, withdrawn }: Move): boolean =>
  phase === 'cancelled' && withdrawn !== true;

function failed(past: Tries | undefined, { to, error }: Move, nowMs: number): Tries {
  const count = (past?.count ?? 0) + 1;
  const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (count - 1));
  return {
    count,
    notBeforeMs: nowMs + pauseMs,
    at: [...new Set([...(past?.at ?? []), to])].slice(-16),
    ...defined({ error }),
  };
}
