import { emptiedBy } from './aim.ts';
import { runsOf, type GuestFacts, type World } from './facts.ts';
import type { Move, FleetRequest } from '../../protocol/controller/fleet-request.ts';

/**
 * Different guests of one name. A host may report a guest of any name, and must not thereby block another host's guest.
 * One namesake is in the world under the name; each other one has a key that no name can be.
 */

type Guests = Pick<World, 'guests' | 'labels'>;

export interface Namesake {
  readonly facts: GuestFacts;
  readonly labels?: Readonly<Record<string, string>>;
}

const keyOf = ({ name, at }: GuestFacts, place: number): string =>
  `${name} (${place + 1}) of ${at[0]?.host ?? 'no host'}`;

/** The name means the running one; if several run, it is ambiguous. */
export function keyed(name: string, all: readonly Namesake[]): [string, Namesake][] {
  const running = all.filter(({ facts }) => runsOf(facts).length > 0);
  const first = running[0] ?? all[0];
  return all.map((each, place) => {
    if (each !== first) return [keyOf(each.facts, place), each];
    if (running.length < 2) return [name, each];
    const rivals = running.flatMap(({ facts }) => runsOf(facts).map(({ host }) => host));
    return [name, { ...each, facts: { ...each.facts, rivals: [...new Set(rivals)] } }];
  });
}

const shares = new WeakMap<World['guests'], ReadonlySet<string>>();

function sharedNames(guests: World['guests']): ReadonlySet<string> {
  const known = shares.get(guests);
  if (known !== undefined) return known;
  const shared = new Set<string>();
  for (const [key, { name }] of guests) if (key !== name) shared.add(name);
  shares.set(guests, shared);
  return shared;
}

/**
 * The world in which each name means this request's guest: the one that it moves, or the one on the host that it
 * empties.
 */
export function meantBy(request: FleetRequest, moves: readonly Move[], world: World): World {
  const { guests, labels } = world;
  const shared = sharedNames(guests);
  if (shared.size === 0) return world;
  const emptied = emptiedBy(request, world);
  const open = new Map(moves.filter(({ settled }) => !settled).map((each) => [each.guest, each]));
  const ofShared = [...guests].filter(([, { name }]) => shared.has(name));
  const isRunning = ([, facts]: (typeof ofShared)[number]): boolean => runsOf(facts).length > 0;
  const all = [...ofShared.filter(isRunning), ...ofShared.filter((each) => !isRunning(each))];
  const next = { guests: new Map(guests), labels: new Map(labels) };
  for (const [name, entries] of Map.groupBy(all, ([, facts]) => facts.name)) {
    const move = open.get(name);
    const hosts = move === undefined ? emptied : [move.from, move.to];
    const meant = hosts
      .map((host) => entries.find(([, { at }]) => at.some((each) => each.host === host)))
      .find((each) => each !== undefined);
    if (meant !== undefined) rename(next, entries, { key: meant[0], move }, world);
  }
  return { ...world, ...next };
}

function rename(
  to: { readonly guests: Map<string, GuestFacts>; readonly labels: Map<string, Labels> },
  entries: readonly (readonly [string, GuestFacts])[],
  { key: meant, move }: { readonly key: string; readonly move: Move | undefined },
  { labels }: Guests,
): void {
  for (const [key] of entries) {
    to.guests.delete(key);
    to.labels.delete(key);
  }
  for (const [place, [key, { rivals: _rivals, ...facts }]] of entries.entries()) {
    const own = labels.get(key);
    const now = key === meant ? facts.name : keyOf(facts, place);
    // The end of a move is judged by everything that both hosts report, so that a second copy is noticed.
    const at = key === meant && move !== undefined ? atEnds(move, facts, entries) : facts.at;
    to.guests.set(now, { ...facts, at });
    if (own !== undefined) to.labels.set(now, own);
  }
}

type Labels = Readonly<Record<string, string>>;

function atEnds(
  { from, to }: Move,
  { at: own }: GuestFacts,
  entries: readonly (readonly [string, GuestFacts])[],
): GuestFacts['at'] {
  const others = entries
    .flatMap(([, { at }]) => at)
    .filter((each) => !own.includes(each) && (each.host === from || each.host === to));
  return [...own, ...others];
}
