import { formatBytes, formatDuration } from '../../protocol/quantity.ts';
import { guestsAt, labelsOf, runsOf, whyClosed, type Reservation, type World } from './facts.ts';
import { isTaken, roomBytes } from './room.ts';
import { untilWindowMs } from '../../protocol/label-rules.ts';
import type { Waiting, WaitsFor } from '../../protocol/controller/fleet-request.ts';

export interface Entry {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  readonly memoryBytes: number;
  /** ms since 1970. */
  readonly notBeforeMs: number;
  /** Its source is dead and has no limit. */
  readonly recovers?: boolean;
}

export interface RequestingRequest {
  readonly request: string;
  readonly priority: number;
  readonly most: number;
  readonly begin: number;
}

export interface AdmissionResult {
  readonly begin: readonly Entry[];
  readonly waiting: readonly Waiting[];
}

interface Obstacle {
  readonly waitsFor: WaitsFor;
  readonly words: string;
  readonly startsAtMs?: number;
}

/**
 * Decides which moves may begin now, in this order. An admitted move counts at once, so that room is promised only
 * once.
 */
export function admit(
  entries: readonly Entry[],
  requester: RequestingRequest,
  world: World,
): AdmissionResult {
  const begin: Entry[] = [];
  const waiting: Waiting[] = [];
  let now = world;
  for (const entry of entries) {
    const obstacle = obstacleOf(entry, requester, now, begin.length);
    if (obstacle !== undefined) {
      const { guest, from, to } = entry;
      waiting.push({ guest, from, to, ...obstacle });
      continue;
    }
    begin.push(entry);
    now = { ...now, reservations: [...now.reservations, reservationFor(entry, requester.request)] };
  }
  return { begin, waiting };
}

const reservationFor = (entry: Entry, request: string): Reservation => ({
  move: '',
  request,
  guest: entry.guest,
  host: entry.to,
  source: entry.from,
  memoryBytes: entry.memoryBytes,
});

function obstacleOf(
  entry: Entry,
  requester: RequestingRequest,
  world: World,
  begun: number,
): Obstacle | undefined {
  return (
    byTime(entry, world) ??
    byDestination(entry, world) ??
    byLimits(entry, requester, world) ??
    (begun >= requester.begin
      ? { waitsFor: 'request-limit', words: 'others of it begin first' }
      : undefined) ??
    byFleet(requester, world)
  );
}

function byTime(
  { guest, notBeforeMs, recovers = false }: Entry,
  world: World,
): Obstacle | undefined {
  const { nowMs } = world;
  if (notBeforeMs > nowMs) {
    const words = `it is tried again in ${formatDuration(notBeforeMs - nowMs)}`;
    return { waitsFor: 'retry', words, startsAtMs: notBeforeMs };
  }
  const labels = labelsOf(world, guest);
  if ('words' in labels || labels.window === undefined || recovers) return undefined;
  const untilMs = untilWindowMs(labels.window, nowMs);
  if (untilMs === 0) return undefined;
  const words = `its window opens in ${formatDuration(untilMs)}`;
  return { waitsFor: 'window', words, startsAtMs: nowMs + untilMs };
}

function byDestination({ guest, to, memoryBytes }: Entry, world: World): Obstacle | undefined {
  const host = world.hosts.get(to);
  const mark = world.marks.get(to);
  const isSilent = host === undefined || host.silentSinceMs !== undefined;
  // A sleeping host is silent as well, as expected.
  if (isSilent && mark?.power === undefined)
    return { waitsFor: 'destination', words: `${to} is silent` };
  const closed = whyClosed(world, to);
  if (closed !== undefined) return { waitsFor: 'destination', words: closed };
  const room = roomBytes(world, to);
  if (memoryBytes > room) {
    const words = `${to} has ${formatBytes(room)} of memory that is not promised; it needs ${formatBytes(memoryBytes)}`;
    return { waitsFor: 'memory', words };
  }
  const labels = labelsOf(world, guest);
  const group = 'words' in labels ? undefined : labels.antiAffinity;
  const other = group === undefined ? undefined : memberAt(world, group, to, guest);
  if (other === undefined) return undefined;
  return { waitsFor: 'apart', words: `${to} has ${other}, and both are of ${group}` };
}

/** A guest of that group on the host, or with room promised there. */
export function memberAt(
  world: World,
  group: string,
  host: string,
  except: string,
): string | undefined {
  const isMember = (name: string): boolean => {
    const labels = labelsOf(world, name);
    return name !== except && !('words' in labels) && labels.antiAffinity === group;
  };
  const there = guestsAt(world, host).find(isMember);
  if (there !== undefined) return there;
  return world.reservations.find((each) => each.host === host && isMember(each.guest))?.guest;
}

function byLimits(
  { from, to, recovers = false }: Entry,
  { request, most }: RequestingRequest,
  world: World,
): Obstacle | undefined {
  const { marks, limits } = world;
  const moving = world.reservations.filter(({ source }) => source !== undefined);
  const out = marks.get(from)?.outLimit ?? limits.outPerHost;
  const limited = (count: number, bound: number): boolean => count >= bound;
  if (!recovers && limited(moving.filter((each) => each.source === from).length, out)) {
    return { waitsFor: 'host-limit', words: `${out} leave ${from} already` };
  }
  if (isTaken(world, to)) {
    const words = `${marks.get(to)?.inLimit ?? limits.inPerHost} come to ${to} already`;
    return { waitsFor: 'destination-limit', words };
  }
  const link = limits.links[`${from}>${to}`];
  const onLink = moving.filter((each) => each.source === from && each.host === to).length;
  if (link !== undefined && limited(onLink, link)) {
    return { waitsFor: 'link-limit', words: `${link} move from ${from} to ${to} already` };
  }
  if (limited(moving.filter((each) => each.request === request).length, most)) {
    return { waitsFor: 'request-limit', words: `${most} of it move already` };
  }
  return undefined;
}

function byFleet({ request, priority }: RequestingRequest, world: World): Obstacle | undefined {
  const { limits, others } = world;
  const moving = world.reservations.filter(({ source }) => source !== undefined);
  const free = limits.fleet - moving.length;
  if (free <= 0) {
    return { waitsFor: 'fleet-limit', words: `${limits.fleet} move in the whole fleet already` };
  }
  const own = moving.filter((each) => each.request === request).length;
  const rivals = others.filter((each) => each.request !== request && each.waiting > 0);
  const wanted = (those: readonly { waiting: number }[]): number =>
    those.reduce((sum, { waiting }) => sum + waiting, 0);
  const above = rivals.filter((each) => each.priority > priority);
  if (wanted(above) >= free) {
    return { waitsFor: 'turn', words: `${above[0]?.request} goes first: its priority is greater` };
  }
  const poorer = rivals.filter((each) => each.priority === priority && each.running < own);
  if (wanted(above) + wanted(poorer) >= free) {
    return {
      waitsFor: 'turn',
      words: `it is the turn of ${poorer[0]?.request}, of which fewer move`,
    };
  }
  return undefined;
}

/** Hosts that claim to run this guest, if there are several and no migration explains that. */
export function doubted(world: World, guest: string): readonly string[] {
  const facts = world.guests.get(guest);
  if (facts === undefined || facts.migration !== undefined) return [];
  if (world.reservations.some((each) => each.guest === guest)) return [];
  const homes = runsOf(facts).map(({ host }) => host);
  return homes.length > 1 ? homes : [];
}
