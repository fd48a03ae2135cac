import type { SerialError } from '../../errors.ts';
import type {
  FleetRequest,
  FleetRequestMode,
  Stay,
} from '../../protocol/controller/fleet-request.ts';
import type { MaintenanceSight } from '../../protocol/public/hosts/managed-host.ts';
import { homesOf, labelsOf, type GuestFacts, type World } from './facts.ts';
import type { Cancel } from './moves.ts';
import type { Situation } from './transition.ts';

/**
 * A drain of a manager's host also takes it out of use: vSphere's maintenance mode, or a paused node of a Hyper-V
 * cluster. If the manager then moves guests itself, Godwit plans none of those moves, because two planners would choose
 * different destinations.
 */

/** Attempts if the manager refuses or gives up. */
export const MAX_ASKED = 3;
const PAUSE_MS = 10_000;

export type ModeHeard =
  | { readonly of: 'sight'; readonly sight: MaintenanceSight }
  | { readonly of: 'refused'; readonly error: SerialError }
  | { readonly of: 'silent' };

export interface ModeFacts {
  readonly host: string;
  readonly moves: FleetRequestMode['moves'];
  readonly words: string;
  readonly leaves: readonly string[];
}

export function modeOf(
  { ask }: Pick<FleetRequest, 'ask'>,
  { hosts }: Pick<World, 'hosts'>,
): ModeFacts | undefined {
  const [host, other] = ask.hosts;
  // Evacuating one host is a drain, except by a deadline, which managers do not keep.
  const isEvacuation = ask.kind === 'evacuate' && ask.sites === undefined && other === undefined;
  if ((ask.kind !== 'drain' && !isEvacuation) || host === undefined) return undefined;
  const mode = hosts.get(host)?.maintenanceMode;
  if (mode === undefined) return undefined;
  const { moves, words, leaves } = mode;
  return { host, moves: moves === 'manager' ? 'manager' : 'godwit', words, leaves };
}

export type ModeCall = 'enter' | 'look' | 'leave' | 'nothing';

export function modeCallOf(
  mode: FleetRequestMode | undefined,
  cancel: Cancel,
  nowMs: number,
): ModeCall {
  switch (mode?.phase) {
    case undefined:
    case 'in':
    case 'refused':
    case 'out':
      return 'nothing';
    case 'wanted':
      return cancel === 'no' && mode.notBeforeMs <= nowMs ? 'look' : 'nothing';
    // Stored, so any later state of the host counts as this drain's doing.
    case 'asking':
      return cancel === 'no' ? 'enter' : 'nothing';
    case 'entering':
      return 'look';
    case 'leaving':
      return 'leave';
  }
}

/** A cancel leaves the mode again, unless the host was in it before. */
export function withMode(
  request: FleetRequest,
  heard: ModeHeard | undefined,
  world: World,
  isCancelled: boolean,
): FleetRequest {
  const facts = modeOf(request, world);
  const begun: FleetRequestMode | undefined =
    facts === undefined || isCancelled
      ? undefined
      : {
          phase: 'wanted',
          moves: facts.moves,
          words: facts.words,
          found: false,
          asked: false,
          tries: 0,
          notBeforeMs: 0,
        };
  const mode = request.maintenanceMode ?? begun;
  if (mode === undefined) return request;
  const now = facts === undefined ? mode : { ...mode, moves: facts.moves, words: facts.words };
  const after = heard === undefined ? now : afterHearing(now, heard, world.nowMs);
  return { ...request, maintenanceMode: isCancelled ? leavingOf(after) : after };
}

function afterHearing(mode: FleetRequestMode, heard: ModeHeard, nowMs: number): FleetRequestMode {
  if (heard.of === 'silent') return mode;
  switch (mode.phase) {
    case 'wanted':
    case 'asking':
    case 'entering':
      if (heard.of === 'sight') return afterSight(mode, heard.sight, nowMs);
      return failed(mode, heard.error.message, { nowMs, isFinal: !heard.error.retryable });
    case 'leaving': {
      // If refused, the host stays closed, and `undrain` asks once more.
      if (heard.of === 'refused') {
        const { message, retryable } = heard.error;
        return { ...mode, phase: retryable ? 'leaving' : 'out', reason: message };
      }
      const { state } = heard.sight;
      return state === 'out' || state === 'leaving' ? { ...mode, phase: 'out' } : mode;
    }
    case 'in':
    case 'refused':
    case 'out':
      return mode;
  }
}

/** Only a requested mode is left again; before that it is another's. */
const wasAsked = ({ asked, phase, tries }: FleetRequestMode): boolean =>
  asked ?? (phase !== 'wanted' || tries > 0);

function afterSight(
  mode: FleetRequestMode,
  sight: MaintenanceSight,
  nowMs: number,
): FleetRequestMode {
  const isWanted = mode.phase === 'wanted';
  const { reason: _reason, ...rest } = mode;
  switch (sight.state) {
    case 'in':
    case 'entering':
      return { ...rest, found: mode.found || !wasAsked(mode), phase: sight.state };
    case 'leaving':
      return isWanted ? mode : failed(mode, 'somebody has it used again', { nowMs, isFinal: true });
    case 'out': {
      // The found mode is over; a new one is this drain's doing.
      if (isWanted) return { ...mode, phase: 'asking', asked: true, found: false };
      const { reason = 'its manager does not say why', cancelled = false } = sight.failed ?? {};
      const words = cancelled ? 'somebody cancelled it at the manager' : reason;
      return failed(mode, words, { nowMs, isFinal: cancelled });
    }
  }
}

function failed(
  mode: FleetRequestMode,
  reason: string,
  { nowMs, isFinal }: { readonly nowMs: number; readonly isFinal: boolean },
): FleetRequestMode {
  const tries = mode.tries + 1;
  const isOver = isFinal || tries >= MAX_ASKED;
  return {
    ...mode,
    tries,
    reason,
    phase: isOver ? 'refused' : 'wanted',
    notBeforeMs: nowMs + PAUSE_MS,
  };
}

function leavingOf(mode: FleetRequestMode): FleetRequestMode {
  switch (mode.phase) {
    case 'out':
    case 'leaving':
      return mode;
    case 'wanted':
    case 'asking':
    case 'entering':
    case 'in':
    case 'refused':
      return { ...mode, phase: mode.found || !wasAsked(mode) ? 'out' : 'leaving' };
  }
}

/** Tells whether the manager itself moves that guest of a drained host, so Godwit must not. */
export function isManagers(
  guest: Pick<GuestFacts, 'name' | 'at'>,
  { ask }: Pick<FleetRequest, 'ask'>,
  facts: ModeFacts | undefined,
): boolean {
  if (facts?.moves !== 'manager' || facts.leaves.includes(guest.name)) return false;
  const there = guest.at.filter(({ host }) => host === facts.host);
  return ask.stopped === true || there.some(({ state }) => state !== 'stopped');
}

export function situationWithMode(
  situation: Situation,
  mode: FleetRequestMode | undefined,
  blocking: readonly Stay[],
): Situation {
  switch (mode?.phase) {
    case undefined:
    case 'in':
    case 'out':
      return situation;
    case 'leaving':
      return 'open';
    case 'refused':
      return situation === 'fulfilled' ? 'stuck' : situation;
    case 'wanted':
    case 'asking':
    case 'entering':
      if (situation === 'fulfilled') return 'able';
      // A running guest that is not moved prevents the mode.
      return situation === 'stuck' && blocking.length === 0 ? 'able' : situation;
  }
}

/** Staying guests that run, and so keep the host out of the mode. */
export function blockingOf(stays: readonly Stay[], { guests }: Pick<World, 'guests'>): Stay[] {
  return stays.filter(({ guest, host }) => {
    const found = guests.get(guest);
    const homes = found === undefined ? [] : homesOf(found);
    return homes.some((each) => each.host === host && each.state !== 'stopped');
  });
}

export function forbiddenBy(request: Pick<FleetRequest, 'ask'>, world: World): string | undefined {
  const facts = modeOf(request, world);
  if (facts?.moves !== 'manager') return undefined;
  for (const [key, guest] of world.guests) {
    if (!guest.at.some(({ host }) => host === facts.host) || !isManagers(guest, request, facts))
      continue;
    const labels = labelsOf(world, key);
    if ('words' in labels || labels.neverMove) return guest.name;
  }
  return undefined;
}

export function modeWords(mode: FleetRequestMode, host: string): string {
  const { moves, words, reason } = mode;
  const who =
    moves === 'manager' ? `${words} moves its guests` : `Godwit plans the moves: ${words}`;
  switch (mode.phase) {
    case 'wanted':
    case 'asking':
      return reason === undefined
        ? `${host} is to enter maintenance mode (${who})`
        : `${host} is not in maintenance mode, and its manager is asked again: ${reason}`;
    case 'entering':
      return `${host} enters maintenance mode (${who})`;
    case 'in':
      return `${host} is in maintenance mode (${who})`;
    case 'refused':
      return `${host} is not in maintenance mode: ${reason ?? ''}`;
    case 'leaving':
      return `${host} leaves maintenance mode`;
    case 'out':
      if (mode.found) return `${host} stays in maintenance mode: it was before this drain`;
      return reason === undefined
        ? `${host} is not in maintenance mode`
        : `${host} may be in maintenance mode still: ${reason}`;
  }
}
