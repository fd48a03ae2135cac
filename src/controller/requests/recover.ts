import { formatBytes } from '../../protocol/quantity.ts';
import type { Move, PlannedStep, FleetRequest } from '../../protocol/controller/fleet-request.ts';
import { memberAt } from './admission.ts';
import {
  homesOf,
  labelsOf,
  ownOf,
  priorityOf,
  whyClosed,
  type GuestFacts,
  type HostMark,
  type Reservation,
  type World,
} from './facts.ts';
import { roomBytes } from './room.ts';

/**
 * Chooses which guests of silent hosts are started elsewhere, and where. The host that starts a guest proves its old
 * host dead (src/mover/direct/destination/recover-guest.ts).
 */

/** Starts of one guest; another silent host may come back meanwhile. */
const MAX_RECOVERIES = 10;
/** Seconds from the order until the guest runs, including the proof and the hook. */
const SECONDS = 60;

export const isRecovery = ({ ask }: Pick<FleetRequest, 'ask'>): boolean => ask.kind === 'recover';

/** Guests last reported on a dead host, without arriving ones, which are their source's. */
export const isThere = ({ at }: GuestFacts, host: string): boolean =>
  at.some((each) => each.host === host && each.state !== 'incoming');

export function whyNotRecovered(
  guest: GuestFacts,
  from: string,
  request: FleetRequest,
  world: World,
): string | undefined {
  const labels = labelsOf(world, guest.name);
  if ('words' in labels) return labels.words;
  if (labels.recover !== true) return 'its label godwit/recover does not ask for it';
  if (labels.neverMove) return 'its label godwit/never-move says so';
  if (guest.manager !== undefined) return `${guest.manager} manages it: that starts it elsewhere`;
  const host = world.hosts.get(from);
  if (host !== undefined && host.silentSinceMs === undefined) {
    return `${from} answers: a guest is started elsewhere only where its host is dead`;
  }
  const homes = homesOf(guest).filter((each) => each.host === from);
  if (homes.every(({ state }) => state === 'stopped')) return 'it was stopped';
  const standby = standbyOf(guest.name, from, world);
  if (standby.hosts.length === 0) {
    return `no host can start it: ${standby.words ?? `none kept what that takes while ${from} lived`}`;
  }
  const past = ownOf(request.tries, guest.name);
  if (past === undefined) return undefined;
  const { error } = past;
  const answering = standby.hosts.filter(
    (each) => world.hosts.get(each)?.silentSinceMs === undefined,
  );
  if (error?.code === 'GODWIT_STANDBY_STALE' && answering.every((each) => past.at.includes(each))) {
    return `${error.message}. ${error.hint}`;
  }
  if (past.count < MAX_RECOVERIES) return undefined;
  return `it was tried ${past.count} times; the last time: ${past.error?.message ?? 'it was cancelled'}`;
}

const NONE = { hosts: [] as readonly string[], words: undefined };

function standbyOf(guest: string, from: string, { standbys }: World) {
  return { ...NONE, ...standbys?.get(`${from} ${guest}`) };
}

const MAX_OFF = 64;

/** Other silent hosts to be proved off with it, whose guests this or another request starts elsewhere. */
function offBeside(from: string, { ask }: FleetRequest, { marks, hosts }: World): string[] {
  // A sleeping host does not answer either.
  const isOff = ({ recovering, power }: HostMark): boolean =>
    recovering === true || power === 'asleep';
  const others = [...marks.values()].filter(isOff).map(({ host }) => host);
  const isSilent = (host: string): boolean => hosts.get(host)?.silentSinceMs !== undefined;
  const all = [...new Set([...ask.hosts, ...others])];
  return all.filter((host) => host !== from && isSilent(host)).slice(0, MAX_OFF);
}

export function recoversOf(
  { guest, from }: { readonly guest: string; readonly from: string },
  request: FleetRequest,
  world: World,
): NonNullable<Move['recovers']> {
  const insisted = request.ask.insist?.find((each) => each.guest === guest);
  const off = offBeside(from, request, world);
  return insisted === undefined ? { off } : { off, insist: insisted.number };
}

export interface RecoverPlan {
  readonly steps: readonly PlannedStep[];
  readonly refused: ReadonlyMap<string, string>;
}

/** Most important first, each at the host with most free memory; hosts of failed attempts last. */
export function planRecovery(
  request: FleetRequest,
  guests: readonly string[],
  world: World,
): RecoverPlan {
  const order = guests.toSorted((one, other) => priorityOf(world, other) - priorityOf(world, one));
  const steps: PlannedStep[] = [];
  const refused = new Map<string, string>();
  let now = world;
  for (const guest of order) {
    const found = placeFor(guest, request, now);
    if ('why' in found) {
      refused.set(guest, found.why);
      continue;
    }
    steps.push({ guest, to: found.to, seconds: SECONDS });
    now = { ...now, reservations: [...now.reservations, promise(guest, found.to, request, now)] };
  }
  return { steps, refused };
}

function placeFor(
  guest: string,
  request: FleetRequest,
  world: World,
): { to: string } | { why: string } {
  const facts = world.guests.get(guest);
  const { hosts: dead, to: named } = request.ask;
  const from = dead.find((host) => facts !== undefined && isThere(facts, host)) ?? '';
  const needed = facts?.memoryBytes ?? 0;
  const failed = ownOf(request.tries, guest)?.at ?? [];
  const labels = labelsOf(world, guest);
  const group = 'words' in labels ? undefined : labels.antiAffinity;
  const { hosts } = standbyOf(guest, from, world);
  const allowed = hosts.filter((host) => named?.includes(host) !== false);
  const open = allowed.filter((host) => {
    const heard = world.hosts.get(host);
    const isHeard = heard !== undefined && heard.silentSinceMs === undefined;
    return isHeard && !dead.includes(host) && whyClosed(world, host) === undefined;
  });
  if (open.length === 0) {
    const all = allowed.join(', ') || 'none that was named';
    return { why: `of the hosts that can start it (${all}) none answers and is open to guests` };
  }
  const apart = open.filter(
    (host) => group === undefined || memberAt(world, group, host, guest) === undefined,
  );
  if (apart.length === 0) return { why: `${open.join(', ')} have another guest of ${group}` };
  const roomy = apart.filter((host) => roomBytes(world, host) >= needed);
  if (roomy.length === 0) {
    return { why: `${apart.join(', ')} have no room for ${formatBytes(needed)} of memory` };
  }
  const rank = (host: string): number => (failed.includes(host) ? 1 : 0);
  const [best = ''] = roomy.toSorted(
    (one, other) => rank(one) - rank(other) || roomBytes(world, other) - roomBytes(world, one),
  );
  return { to: best };
}

function promise(
  guest: string,
  host: string,
  request: FleetRequest,
  { guests }: World,
): Reservation {
  const memoryBytes = guests.get(guest)?.memoryBytes ?? 0;
  return { move: '', request: request.id, guest, host, memoryBytes };
}
