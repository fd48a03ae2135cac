/**
 * Rules of other balancers as surrogates on samples of 300 s, by what their documents say of thresholds, durations and
 * cooldowns. What a product looks at and these samples do not have (pressure, 10 s rounds) is stated at each.
 */
import {
  TICK_S,
  type World,
  type WorldGuest,
  type WorldHost,
  type WorldMove,
} from './cloudsim/world.ts';
import type { Decide } from './cloudsim/reallocate.ts';

/** Loads as they are once the moves that were chosen so far are done. */
class Draft {
  readonly hosts: readonly WorldHost[];
  readonly moves: WorldMove[] = [];
  readonly #asked = new Map<WorldHost, number>();
  readonly #at = new Map<WorldGuest, WorldHost>();

  constructor(world: World) {
    this.hosts = world.hosts;
    for (const guest of world.guests) {
      // One on its way counts where it will be.
      const host = world.hosts.find((each) => each.arriving.has(guest)) ?? guest.host;
      if (host === undefined) continue;
      this.#at.set(guest, host);
      this.#asked.set(host, (this.#asked.get(host) ?? 0) + guest.requested);
    }
  }

  load(host: WorldHost): number {
    return (this.#asked.get(host) ?? 0) / host.capacity;
  }

  guestsOf(host: WorldHost): WorldGuest[] {
    return [...this.#at]
      .filter(([guest, at]) => at === host && !guest.moving && !this.#moved(guest))
      .map(([guest]) => guest);
  }

  least(): WorldHost | undefined {
    return this.hosts.toSorted((left, right) => this.load(left) - this.load(right))[0];
  }

  after(guest: WorldGuest, to: WorldHost): number {
    return this.load(to) + guest.requested / to.capacity;
  }

  move(guest: WorldGuest, to: WorldHost): void {
    const from = this.#at.get(guest);
    if (from !== undefined) this.#asked.set(from, (this.#asked.get(from) ?? 0) - guest.requested);
    this.#asked.set(to, (this.#asked.get(to) ?? 0) + guest.requested);
    this.#at.set(guest, to);
    this.moves.push({ guest, to });
  }

  #moved(guest: WorldGuest): boolean {
    return this.moves.some((each) => each.guest === guest);
  }
}

const bySize = (guests: readonly WorldGuest[]): WorldGuest[] =>
  guests.toSorted((left, right) => right.requested - left.requested);

/** Above the limit for so many samples: moves to the least loaded host while that stays under the limit. */
interface Threshold {
  readonly limit: number;
  readonly samples: number;
  /** Per sample: in all, and from one host. */
  readonly moves: number;
  readonly perHost: number;
  /** A guest rests after a move, s; by how many it has had today. */
  readonly rest?: (moves: number) => number;
  /** The part of the newest sample in the load; the rest is the mean of the last 30 min. */
  readonly newest?: number;
}

function threshold({ limit, samples, moves, perHost, rest, newest = 1 }: Threshold): Decide {
  const above = new Map<WorldHost, number>();
  const past = new Map<WorldHost, number[]>();
  const moved = new Map<WorldGuest, number[]>();
  return (world) => {
    const draft = new Draft(world);
    const resting = (guest: WorldGuest): boolean => {
      const times = moved.get(guest) ?? [];
      const last = times.at(-1);
      return last !== undefined && rest !== undefined && world.now - last < rest(times.length);
    };
    for (const host of world.hosts) {
      const looks = [draft.load(host), ...(past.get(host) ?? [])].slice(0, 1800 / TICK_S);
      past.set(host, looks);
      const mean = looks.reduce((sum, each) => sum + each, 0) / looks.length;
      const load = newest * draft.load(host) + (1 - newest) * mean;
      above.set(host, load > limit ? (above.get(host) ?? 0) + 1 : 0);
    }
    const over = world.hosts.filter((host) => (above.get(host) ?? 0) >= samples);
    for (const host of over.toSorted((left, right) => draft.load(right) - draft.load(left))) {
      for (let count = 0; count < perHost && draft.load(host) > limit; count += 1) {
        if (draft.moves.length >= moves) return draft.moves;
        const to = draft.least();
        const guest = bySize(draft.guestsOf(host)).find(
          (each) => to !== undefined && !resting(each) && draft.after(each, to) < limit,
        );
        if (to === undefined || guest === undefined) break;
        draft.move(guest, to);
        moved.set(guest, [...(moved.get(guest) ?? []), world.now]);
      }
    }
    return draft.moves;
  };
}

/** Imbalance is the spread of the loads by their mean; one best move a round, if it takes a tenth of it away. */
function imbalance(rounds: number): Decide {
  return (world) => {
    const draft = new Draft(world);
    for (let round = 0; round < rounds; round += 1) {
      const before = imbalanceOf(draft.hosts.map((host) => draft.load(host)));
      if (before <= 0.3) break;
      const sorted = draft.hosts.toSorted((left, right) => draft.load(right) - draft.load(left));
      const [full, empty] = [sorted[0], sorted.at(-1)];
      if (full === undefined || empty === undefined) break;
      let best: WorldGuest | undefined;
      let least = before * 0.9;
      for (const guest of draft.guestsOf(full)) {
        const loads = draft.hosts.map((host) => {
          if (host === full) return draft.load(host) - guest.requested / host.capacity;
          return host === empty ? draft.after(guest, host) : draft.load(host);
        });
        const after = imbalanceOf(loads);
        if (after >= least) continue;
        least = after;
        best = guest;
      }
      if (best === undefined) break;
      draft.move(best, empty);
    }
    return draft.moves;
  };
}

function imbalanceOf(loads: readonly number[]): number {
  const mean = loads.reduce((sum, each) => sum + each, 0) / loads.length;
  const squares = loads.reduce((sum, each) => sum + (each - mean) ** 2, 0) / loads.length;
  return mean === 0 ? 0 : Math.sqrt(squares) / mean;
}

/** `max(15 min, its last move) x 2^(moves in 24 h - 1)`, at most 6 h. */
const cooldown = (moves: number): number => Math.min(6 * 3600, 900 * 2 ** (moves - 1));
const ANY = Infinity;

export const RIVALS: Readonly<Record<string, () => Decide>> = {
  /** 80 % for 10 minutes, one guest a minute: five a sample. */
  oVirt: () => threshold({ limit: 0.8, samples: 2, moves: 5, perHost: 5 }),
  /** 90 %, three quarters now and a quarter of the last 30 min, 30 min of rest. */
  'Xen Orchestra': () =>
    threshold({ limit: 0.9, samples: 1, moves: ANY, perHost: ANY, rest: () => 1800, newest: 0.75 }),
  /** Imbalance of 30 % for 3 rounds of 10 s, then one best move a round: 27 of 30 rounds at most. */
  'Proxmox VE 9.2': () => imbalance(27),
  /** 85 % for 15 minutes. */
  Nutanix: () => threshold({ limit: 0.85, samples: 3, moves: ANY, perHost: ANY }),
  /** Pressure begins where more is asked for than there is; a guest a host and cycle, each 300 s. */
  KubeVirt: () => threshold({ limit: 1, samples: 1, moves: ANY, perHost: 1, rest: cooldown }),
  /** Whatever is above 100 % at this moment. */
  greedy: () => threshold({ limit: 1, samples: 1, moves: ANY, perHost: ANY }),
};
