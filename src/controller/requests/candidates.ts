import { formatDuration } from '../../protocol/quantity.ts';
import { doubted } from './admission.ts';
import { aimOf, type Aim } from './aim.ts';
import {
  broughtTo,
  guestsAt,
  homesOf,
  isAt,
  labelsOf,
  ownOf,
  type GuestFacts,
  type World,
} from './facts.ts';
import { isManagers, modeOf } from './maintenance-mode.ts';
import { isRecovery, isThere, whyNotRecovered } from './recover.ts';
import type { Move, Stay, Waiting, FleetRequest } from '../../protocol/controller/fleet-request.ts';

export const MAX_TRIES = 3;

export interface RemainingWork {
  readonly candidates: readonly { readonly guest: string; readonly from: string }[];
  readonly stays: readonly Stay[];
  readonly waiting: readonly Waiting[];
  readonly blind: readonly string[];
}

/** Guests in unwanted places: those that can go, those that stay for good, those that wait. */
export function leftOf(request: FleetRequest, open: readonly Move[], world: World): RemainingWork {
  const candidates: { guest: string; from: string }[] = [];
  const stays: Stay[] = [];
  const waiting: Waiting[] = [];
  const moving = new Set(open.map(({ guest }) => guest));
  const aim = aimOf(request, world);
  if (isRecovery(request)) return leftOfDead(request, { moving, aim, world });
  const ahead = new Set<string>();
  const mode = modeOf(request, world);
  for (const guest of guestsOf(aim, request, world)) {
    if (moving.has(guest.name)) continue;
    const from = hostOf(guest, aim);
    const entry = { guest: guest.name, from };
    if (ahead.has(guest.name)) {
      const words = 'another guest of that name goes first';
      waiting.push({ ...entry, waitsFor: 'other-move', words });
      continue;
    }
    ahead.add(guest.name);
    // Several hosts claim the guest, so no host's report binds.
    const both = whoseItIs(guest, world);
    if (both !== undefined) {
      waiting.push({ ...entry, ...both });
      continue;
    }
    if (mode !== undefined && isManagers(guest, request, mode)) {
      const refused = request.maintenanceMode?.phase === 'refused';
      const words = request.maintenanceMode?.reason ?? '';
      if (refused)
        stays.push({
          guest: guest.name,
          host: from,
          words: `its host does not enter maintenance mode: ${words}`,
        });
      else
        waiting.push({
          ...entry,
          waitsFor: 'manager',
          words: `${mode.words} moves it, and chooses where to`,
        });
      continue;
    }
    const reason = whyItStays({ guest, from }, request, world);
    if (reason !== undefined) stays.push({ guest: guest.name, host: from, words: reason });
    else {
      const obstacle = whyItWaits(guest, world);
      if (obstacle === undefined) candidates.push(entry);
      else waiting.push({ ...entry, ...obstacle });
    }
  }
  const coming = onTheirWay(aim, world).filter(({ guest }) => !moving.has(guest));
  return { candidates, stays, waiting: [...waiting, ...coming], blind: blindHosts(aim, world) };
}

/** Like `leftOf`, for dead hosts, whose last report counts. */
function leftOfDead(
  request: FleetRequest,
  { moving, aim, world }: { moving: ReadonlySet<string>; aim: Aim; world: World },
): RemainingWork {
  const candidates: { guest: string; from: string }[] = [];
  const stays: Stay[] = [];
  const waiting: Waiting[] = [];
  for (const guest of guestsOf(aim, request, world)) {
    const from = hostOf(guest, aim);
    if (moving.has(guest.name) || !isThere(guest, from)) continue;
    const entry = { guest: guest.name, from };
    const both = whoseItIs(guest, world);
    const owner = world.reservations.find(
      (each) => each.guest === guest.name && each.source !== from,
    );
    const reason = whyNotRecovered(guest, from, request, world);
    if (both !== undefined) waiting.push({ ...entry, ...both });
    else if (reason !== undefined) stays.push({ guest: guest.name, host: from, words: reason });
    else if (owner === undefined) candidates.push(entry);
    else {
      const words = `the migration ${owner.move} is moving it`;
      waiting.push({ ...entry, waitsFor: 'other-move', words });
    }
  }
  return { candidates, stays, waiting, blind: [] };
}

/** Guests on their way to a host that must be empty, and not listed there yet. */
function onTheirWay(aim: Aim, world: World): Waiting[] {
  if (aim.kind === 'bring') return [];
  const { guests, reservations } = world;
  const emptied = new Set(aim.hosts);
  const promised = reservations.flatMap(({ guest, host, source, move }): Waiting[] => {
    const at = guests.get(guest)?.at ?? [];
    if (!emptied.has(host) || at.some((each) => emptied.has(each.host))) return [];
    const from = source ?? at[0]?.host ?? host;
    return [{ guest, from, to: host, waitsFor: 'other-move', words: `${move} brings it` }];
  });
  const known = new Set(promised.map(({ guest }) => guest));
  const reported = aim.hosts.flatMap((to) =>
    broughtTo(world, to).flatMap((key): Waiting[] => {
      const guest = guests.get(key);
      if (guest === undefined || known.has(guest.name)) return [];
      const from = guest.at[0]?.host ?? to;
      const words = `${guest.migration ?? 'a migration'} brings it`;
      return [{ guest: guest.name, from, to, waitsFor: 'other-move', words }];
    }),
  );
  return [...promised, ...reported];
}

function guestsOf(aim: Aim, { moved }: FleetRequest, world: World): GuestFacts[] {
  const { guests } = world;
  if (aim.kind === 'empty') {
    const there = [...new Set(aim.hosts.flatMap((host) => guestsAt(world, host)))].flatMap(
      (key) => {
        const facts = guests.get(key);
        return facts === undefined ? [] : [[key, facts] as const];
      },
    );
    const isNamed = ([key, { name }]: (typeof there)[number]): boolean => key === name;
    return [...there.filter(isNamed), ...there.filter((each) => !isNamed(each))].map(
      ([, facts]) => facts,
    );
  }
  const { to } = aim;
  if (to === undefined && moved > 0) return [];
  return aim.guests.flatMap((name) => {
    const found = guests.get(name);
    if (found === undefined) return [];
    const isOnlyAt = (host: string): boolean =>
      isAt(found, host) && found.at.every((each) => each.host === host || each.state === 'stopped');
    return found.rivals === undefined && to?.some(isOnlyAt) === true ? [] : [found];
  });
}

function hostOf({ at }: GuestFacts, aim: Aim): string {
  const emptied = aim.kind === 'empty' ? aim.hosts : [];
  return (at.find(({ host }) => emptied.includes(host)) ?? at[0])?.host ?? '';
}

function whyItStays(
  { guest, from }: { readonly guest: GuestFacts; readonly from: string },
  request: FleetRequest,
  world: World,
): string | undefined {
  const at = guest.at.filter(({ host }) => host === from);
  const never = whyItNeverMoves({ ...guest, at }, world, request.ask.cold);
  if (never !== undefined) return never;
  const past = ownOf(request.tries, guest.name);
  if (past?.cancelled !== undefined) return `its move ${past.cancelled} was cancelled`;
  if (past === undefined || past.count < MAX_TRIES) return undefined;
  return `it was tried ${past.count} times; the last time: ${past.error?.message ?? 'it was cancelled'}`;
}

/**
 * Explains why it can never be moved. A device that its label unplugs may be the only obstacle; its host decides that.
 */
export function whyItNeverMoves(
  guest: GuestFacts,
  world: World,
  mayGoCold = false,
): string | undefined {
  const labels = labelsOf(world, guest.name);
  if ('words' in labels) return labels.words;
  if (labels.neverMove) return 'its label godwit/never-move says so';
  if (guest.manager !== undefined) return `${guest.manager} manages it: move it by its means`;
  const [unmovable] = labels.unplug === undefined ? guest.unmovable : [];
  if (unmovable !== undefined && (!mayGoCold || labels.maxDowntimeMs !== undefined)) {
    const label = 'its label godwit/max-downtime allows no cold move';
    return `it cannot move live: ${unmovable}${mayGoCold ? `, and ${label}` : ''}`;
  }
  const homes = homesOf(guest);
  if (homes.length > 0 && homes.every(({ state }) => state === 'stopped')) {
    return 'it is stopped, and only a running guest moves live';
  }
  return undefined;
}

type Obstacle = Pick<Waiting, 'waitsFor' | 'words'>;

export function whyItWaits(guest: GuestFacts, world: World): Obstacle | undefined {
  const both = whoseItIs(guest, world);
  if (both !== undefined) return both;
  const owner = world.reservations.find((each) => each.guest === guest.name);
  if (owner !== undefined)
    return { waitsFor: 'other-move', words: `the migration ${owner.move} is moving it` };
  if (guest.migration !== undefined) {
    return { waitsFor: 'other-move', words: `the migration ${guest.migration} is moving it` };
  }
  if (homesOf(guest).length === 0) {
    return { waitsFor: 'other-move', words: 'it is on its way in' };
  }
  const silent = guest.at.find(({ host, state }) => state !== 'stopped' && isSilent(world, host));
  if (silent === undefined) return undefined;
  return { waitsFor: 'silence', words: sinceWhen(world, silent.host) };
}

function whoseItIs({ name, rivals }: GuestFacts, world: World): Obstacle | undefined {
  if (rivals !== undefined) {
    const words = `${rivals.join(' and ')} run different guests of that name: give one another name, or drain the host of the one that is meant`;
    return { waitsFor: 'two-hosts', words };
  }
  const both = doubted(world, name);
  if (both.length === 0) return undefined;
  const words = `${both.join(' and ')} both say that they run it: nobody touches it until one does`;
  return { waitsFor: 'two-hosts', words };
}

const isSilent = ({ hosts }: World, host: string): boolean => {
  const facts = hosts.get(host);
  return facts === undefined || facts.silentSinceMs !== undefined;
};

export function sinceWhen({ hosts, nowMs }: World, host: string): string {
  const since = hosts.get(host)?.silentSinceMs;
  if (since === undefined) return `nothing was heard of ${host} yet`;
  return `${host} is silent for ${formatDuration(Math.max(0, nowMs - since))}`;
}

function blindHosts(aim: Aim, world: World): string[] {
  if (aim.kind === 'empty') return aim.hosts.filter((host) => isSilent(world, host));
  return aim.guests.flatMap((name) => {
    const found = world.guests.get(name);
    // A guest that no host lists may be on a silent host.
    if (found === undefined) return ['its host'];
    return found.at.map(({ host }) => host).filter((host) => isSilent(world, host));
  });
}
