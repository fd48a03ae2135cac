import { hasCpu, objection, type CpuRoom } from './constraints.ts';
import { LINK_BYTES_PER_SECOND, MAX_DIRTY } from './cost.ts';
import type { DrainOptions } from './drain/drain-options.ts';
import type { Fleet, Place, Seat } from './fleet.ts';
import type { Trunk } from './inventory.ts';
import { COSTS } from '../migration/prediction/parameters.ts';

/** Guests that must stay together, or a single one. */
export type Unit = readonly Seat[];

/** One thread's rate of finding, encrypting and sending, bytes/s. */
const MAX_PER_MOVE = 1e9 / COSTS.plain.secondsPerGb;
/** First with room for variation, then with just enough for the expected demand. */
const ROOMS: readonly CpuRoom[] = [
  { z: 1.5, share: 0.95 },
  { z: 0, share: 1 },
];
/** Required saving of the busiest link's time for changing a promised destination. */
const WORTH_CHANGING = 0.97;
/** Guests moved off the busiest link, at most, per leaving one. */
const CHANGES = 2;

export class Destinations {
  readonly #fleet: Fleet;
  readonly #options: DrainOptions;
  readonly #targets: readonly Place[];
  readonly #busy = new Map<string, number>();
  readonly #chosen = new Map<Unit, { room: CpuRoom; others: readonly Place[] }>();
  readonly #before: ReadonlyMap<string, string>;

  constructor(fleet: Fleet, options: DrainOptions, targets: readonly Place[]) {
    this.#fleet = fleet;
    this.#options = options;
    this.#targets = targets;
    this.#before = new Map((options.before ?? []).map(({ guest, to }) => [guest, to]));
    for (const { from, to, bytes } of options.others ?? []) {
      for (const [host, direction] of [
        [from, 'out'],
        [to, 'in'],
      ] as const) {
        const place = fleet.byName.get(host);
        if (place === undefined) continue;
        const name = `${host}, ${direction}`;
        this.#busy.set(name, (this.#busy.get(name) ?? 0) + bytes / this.#carries(place, direction));
      }
    }
  }

  /** Alternative destinations of the unit; undefined if it has none. */
  othersOf(unit: Unit): readonly Place[] | undefined {
    return this.#chosen.get(unit)?.others;
  }

  /** Counts a move that is already planned. */
  count(seat: Seat, to: Place): void {
    this.#add([seat], to, 1);
  }

  place(unit: Unit, company: readonly Place[]): boolean {
    for (const room of ROOMS) {
      for (const mayReturn of [false, true]) {
        const fits = this.#fits(unit, company, room, mayReturn);
        const promised = fits.find(({ host }) =>
          unit.every(({ guest }) => this.#before.get(guest.name) === host.name),
        );
        const [best] = fits;
        const to = promised ?? best;
        if (to === undefined) continue;
        this.#put(unit, to);
        this.#chosen.set(unit, { room, others: fits.filter((each) => each !== to) });
        return true;
      }
    }
    return false;
  }

  /** Moves units off the busiest link while that shortens the longest time. */
  even(): void {
    const worth = this.#before.size > 0 ? WORTH_CHANGING : 1 - 1e-6;
    for (let left = this.#chosen.size * CHANGES; left > 0; left -= 1) {
      const [name, longest] = this.#busiest();
      const change = this.#bestChange(name, longest * worth);
      if (change === undefined) return;
      const { unit, to } = change;
      const was = this.#chosen.get(unit);
      const [from] = unit.map(({ at }) => at);
      this.#takeBack(unit);
      this.#put(unit, to);
      if (was === undefined || from === undefined) return;
      const others = [from, ...was.others.filter((each) => each !== to)];
      this.#chosen.set(unit, { ...was, others });
    }
  }

  #bestChange(name: string, below: number): { unit: Unit; to: Place } | undefined {
    let best: { unit: Unit; to: Place } | undefined;
    let least = below;
    for (const [unit, { room, others }] of this.#chosen) {
      const [at] = unit.map((seat) => seat.at);
      if (at === undefined || !this.#linksOf(unit, at).includes(name)) continue;
      this.#takeBack(unit);
      for (const to of others) {
        const after = this.#timeWith(unit, to);
        if (after >= least || !this.#takes(unit, to, room, true)) continue;
        least = after;
        best = { unit, to };
      }
      this.#put(unit, at);
    }
    return best;
  }

  #busiest(): [string, number] {
    let name = '';
    let longest = 0;
    for (const [each, seconds] of this.#busy) {
      if (seconds <= longest) continue;
      name = each;
      longest = seconds;
    }
    return [name, longest];
  }

  #put(unit: Unit, to: Place): void {
    this.#add(unit, to, 1);
    for (const seat of unit) this.#fleet.move(seat, to);
  }

  #takeBack(unit: Unit): void {
    for (const seat of unit.toReversed()) {
      this.#add([seat], seat.at, -1);
      this.#fleet.move(seat, seat.from);
    }
  }

  /** Hosts with room for the whole unit, earliest completion first. */
  #fits(unit: Unit, company: readonly Place[], room: CpuRoom, mayReturn: boolean): Place[] {
    return company
      .filter((place) => this.#takes(unit, place, room, mayReturn))
      .map((place) => ({
        place,
        longest: this.#timeWith(unit, place),
        own: this.#own(unit, place),
        cpu: place.need(room.z) / place.host.cpu,
      }))
      .toSorted(
        (left, right) =>
          differ(left.longest, right.longest) ||
          differ(left.own, right.own) ||
          left.cpu - right.cpu,
      )
      .map(({ place }) => place);
  }

  #takes(unit: Unit, place: Place, room: CpuRoom, mayReturn: boolean): boolean {
    const taken: Seat[] = [];
    const fits = unit.every((seat) => {
      const against = objection(seat, place);
      const may = against === undefined || (mayReturn && against === 'came-from');
      if (!may || !hasCpu(seat, place, room)) return false;
      this.#fleet.move(seat, place);
      taken.push(seat);
      return true;
    });
    for (const seat of taken.toReversed()) this.#fleet.move(seat, seat.from);
    return fits;
  }

  /** Completion time of the unit's links with the unit added, s. */
  #timeWith(unit: Unit, to: Place): number {
    const times = this.#times(unit, to);
    return Math.max(...times.map(([name, seconds]) => (this.#busy.get(name) ?? 0) + seconds));
  }

  #own(unit: Unit, to: Place): number {
    const link = `${to.host.name}, in`;
    const added = this.#times(unit, to).filter(([name]) => name === link);
    return added.reduce((sum, [, seconds]) => sum + seconds, this.#busy.get(link) ?? 0);
  }

  #linksOf(unit: Unit, to: Place): string[] {
    return this.#times(unit, to).map(([name]) => name);
  }

  #add(unit: Unit, to: Place, sign: 1 | -1): void {
    for (const [name, seconds] of this.#times(unit, to)) {
      this.#busy.set(name, (this.#busy.get(name) ?? 0) + sign * seconds);
    }
  }

  /** Rate as this drain has observed it, bytes/s. */
  #carries(place: Place, direction: 'out' | 'in'): number {
    return linkOf(place) * (this.#options.linkFactors?.[`${place.host.name}, ${direction}`] ?? 1);
  }

  #times(unit: Unit, to: Place): [string, number][] {
    return unit.flatMap((seat) => {
      const between = sharedBetween(this.#options, seat.from, to);
      const [out, into] = [this.#carries(seat.from, 'out'), this.#carries(to, 'in')];
      const rate = Math.min(out, into, between?.bytesPerSecond ?? Infinity, mostOf(this.#options));
      const bytes = bytesOf(seat, rate);
      const times: [string, number][] = [
        [`${seat.from.host.name}, out`, bytes / out],
        [`${to.host.name}, in`, bytes / into],
      ];
      if (between !== undefined) times.push([between.name, bytes / between.bytesPerSecond]);
      return times;
    });
  }

  /** Finds where a group's other guests are; all targets for a guest without a group, or if the whole group leaves. */
  company(unit: Unit): readonly Place[] | 'nowhere' {
    const [first] = unit;
    if (first?.grouped !== true) return this.#targets;
    const others = this.#fleet.seats.filter(
      (seat) => seat.guest.together === first.guest.together && !unit.includes(seat),
    );
    const [place] = others.map(({ at }) => at);
    if (place === undefined) return this.#targets;
    const one = others.every(({ at }) => at === place) && this.#targets.includes(place);
    return one ? [place] : 'nowhere';
  }
}

function differ(left: number, right: number): number {
  return Math.abs(left - right) <= 1e-9 * Math.max(left, right) ? 0 : left - right;
}

/** Total bytes of a move at a rate: used pages plus repeated writes. */
export function bytesOf({ guest }: Pick<Seat, 'guest'>, rate: number): number {
  const used = guest.usedBytes ?? guest.memoryBytes;
  const share = Math.min((guest.dirtyBytesPerSecond ?? 0) / rate, MAX_DIRTY);
  const again = Math.min(guest.workingSetBytes ?? used, used * share);
  return used + again / (1 - share);
}

export const linkOf = (place: Place | undefined): number =>
  place?.host.linkBytesPerSecond ?? LINK_BYTES_PER_SECOND;

export const mostOf = ({ mostPerMove }: DrainOptions): number => mostPerMove ?? MAX_PER_MOVE;

const nameOf = ({ between }: Trunk): string => `${between[0]} to ${between[1]}`;

/** A capacity shared by moves between two hosts, apart from the hosts' links. */
export function sharedBetween(
  { trunks, pairs }: DrainOptions,
  from: Place | undefined,
  to: Place | undefined,
): { readonly name: string; readonly bytesPerSecond: number } | undefined {
  const trunk = trunkOf(trunks, from, to);
  if (trunk !== undefined) return { name: nameOf(trunk), bytesPerSecond: trunk.bytesPerSecond };
  const name = `${from?.host.name ?? ''}>${to?.host.name ?? ''}`;
  const bytesPerSecond = pairs?.get(name);
  return bytesPerSecond === undefined ? undefined : { name, bytesPerSecond };
}

/** The link between two hosts' sites; each direction is separate. */
function trunkOf(
  trunks: readonly Trunk[] | undefined,
  from: Place | undefined,
  to: Place | undefined,
): Trunk | undefined {
  const [source, target] = [from?.host.site, to?.host.site];
  if (trunks === undefined || source === undefined || target === undefined || source === target)
    return undefined;
  const trunk = trunks.find(({ between }) => between.includes(source) && between.includes(target));
  return trunk === undefined ? undefined : { ...trunk, between: [source, target] };
}
