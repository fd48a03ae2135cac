import { wattsAt } from './machines.ts';
import { Draft } from './draft.ts';
import { loadOf, type World, type WorldGuest, type WorldHost, type WorldMove } from './world.ts';
import type { Overload } from './overload.ts';
import type { Selection } from './selection.ts';

/** What decides at each tick. */
export type Decide = (world: World) => readonly WorldMove[];

/** The reference's method: relieve hosts that have too much, then empty those that have least. */
export const reallocateBy =
  (overload: Overload, selection: Selection): Decide =>
  (world) =>
    new Reallocation(world, overload, selection).moves();

class Reallocation {
  readonly #world: World;
  readonly #overload: Overload;
  readonly #selection: Selection;
  readonly #drafts: readonly Draft[];

  constructor(world: World, overload: Overload, selection: Selection) {
    this.#world = world;
    this.#overload = overload;
    this.#selection = selection;
    this.#drafts = world.hosts.map((host) => new Draft(host, world.memoryMbOf(host)));
  }

  moves(): WorldMove[] {
    const over = this.#drafts.filter((draft) => this.#overload(draft));
    const leaving = over.flatMap((draft) => this.#relieve(draft));
    const avoid = new Set(over);
    const candidates = this.#drafts.filter((draft) => !avoid.has(draft));
    const moves = sortedByLoad(leaving).flatMap((guest) => {
      const to = this.#place(guest, candidates);
      to?.add(guest);
      return to === undefined ? [] : [{ guest, to: to.host }];
    });
    return [...moves, ...this.#empty(over)];
  }

  #relieve(draft: Draft): WorldGuest[] {
    const leaving: WorldGuest[] = [];
    do {
      const guest = this.#selection(draft.guests);
      if (guest === undefined) break;
      leaving.push(guest);
      draft.remove(guest);
    } while (this.#overload(draft));
    return leaving;
  }

  /** The host whose power grows least. */
  #place(guest: WorldGuest, candidates: readonly Draft[]): Draft | undefined {
    let chosen: Draft | undefined;
    let least = Number.MAX_VALUE;
    const honoured = this.#world.rules.hostMemoryMb !== undefined;
    for (const draft of candidates) {
      const { host } = draft;
      if (host.type.coreMips < guest.requested || draft.left < guest.requested) continue;
      if (honoured && draft.heldMb + guest.memoryMb > draft.memoryMb) continue;
      const added = addedWatts(draft, guest);
      // Its own question comes last: it is by far the dearest.
      if (added >= least || (draft.given !== 0 && this.#overload(draft, guest))) continue;
      least = added;
      chosen = draft;
    }
    return chosen;
  }

  /** Empties the least loaded hosts, one by one, where all of a host's guests fit elsewhere. */
  #empty(over: readonly Draft[]): WorldMove[] {
    const moves: WorldMove[] = [];
    const off = this.#drafts.filter(({ host }) => loadOf(host.usedMips, host) === 0);
    const keep = new Set<Draft>([...over, ...off]);
    let candidates = this.#drafts.filter((draft) => !keep.has(draft));
    for (;;) {
      const draft = this.#leastLoaded(keep);
      if (draft === undefined) return moves;
      keep.add(draft);
      candidates = candidates.filter((other) => other !== draft);
      const placed = this.#placeAll(draft, candidates);
      for (const { guest, to } of placed) {
        keep.add(to);
        moves.push({ guest, to: to.host });
      }
    }
  }

  #leastLoaded(keep: ReadonlySet<Draft>): Draft | undefined {
    let chosen: Draft | undefined;
    let least = 1;
    for (const draft of this.#drafts) {
      if (keep.has(draft) || draft.guests.length === 0) continue;
      const load = loadOf(draft.host.usedMips, draft.host);
      if (load > 0 && load < least) {
        least = load;
        chosen = draft;
      }
    }
    return chosen;
  }

  /** All of them or none. They stay in their own draft, which is not used again. */
  #placeAll(
    draft: Draft,
    candidates: readonly Draft[],
  ): { readonly guest: WorldGuest; readonly to: Draft }[] {
    const placed: { guest: WorldGuest; to: Draft }[] = [];
    for (const guest of sortedByLoad(draft.guests)) {
      const to = this.#place(guest, candidates);
      if (to === undefined) {
        for (const each of placed) each.to.remove(each.guest);
        return [];
      }
      to.add(guest);
      placed.push({ guest, to });
    }
    return placed;
  }
}

/** The power that a guest adds to what its host had at the last look, W. */
function addedWatts(draft: Draft, guest: WorldGuest): number {
  const { host } = draft;
  const after = wattsAt(host.type, (draft.given + guest.requested) / host.capacity);
  return after - draft.wattsNow;
}

const sortedByLoad = (guests: readonly WorldGuest[]): WorldGuest[] =>
  guests.toSorted((left, right) => right.requested - left.requested);

/**
 * Where each guest starts, at its full size: on the first host that has room, or on the one whose power grows least.
 * Throws where a guest fits nowhere.
 */
export function placeAtStart(world: World, by: 'first' | 'power'): void {
  const free = world.hosts.map((host) => ({
    host,
    mips: host.capacity,
    memoryMb: world.memoryMbOf(host),
  }));
  for (const guest of world.guests) {
    const fits = free.filter(
      ({ host, mips, memoryMb }) =>
        host.type.coreMips >= guest.mips && mips >= guest.mips && memoryMb >= guest.memoryMb,
    );
    const added = (host: WorldHost, mips: number): number =>
      wattsAt(host.type, (host.capacity - mips + guest.mips) / host.capacity) -
      wattsAt(host.type, 0);
    let chosen = fits[0];
    if (by === 'power') {
      for (const each of fits) {
        if (chosen !== undefined && added(each.host, each.mips) < added(chosen.host, chosen.mips)) {
          chosen = each;
        }
      }
    }
    if (chosen === undefined) throw new RangeError(`no host has room for guest ${guest.name}`);
    chosen.mips -= guest.mips;
    chosen.memoryMb -= guest.memoryMb;
    world.put(guest, chosen.host);
  }
}
