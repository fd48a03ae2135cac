import { hasCpu, objection, wordsOf, type CpuRoom } from './constraints.ts';
import { bestFits, whyNot } from './best-fit.ts';
import { ESTIMATE } from './estimate.ts';
import { Fleet, Place } from './fleet.ts';
import type { Constraint, Inventory, PlannerGuest, Refusal } from './inventory.ts';
import { dearness } from './power.ts';

export type Placement =
  | {
      readonly host: string;
      readonly wake: boolean;
      readonly words: string;
      readonly alternatives: readonly string[];
    }
  | { readonly refused: Refusal };

const ROOM: CpuRoom = { z: 1.5, share: 0.95 };

/** A starting guest has no samples; its full size is expected. */
export type NewGuest = Omit<PlannerGuest, 'host' | 'demand'>;

/**
 * The fullest host with room, which leaves room for large guests; a sleeping one only as a last resort. Same
 * constraints and order as `consolidate`, so that it does not move the guest afterwards.
 */
export function place(inventory: Inventory, guest: NewGuest): Placement {
  const nowhere = { name: '', cpu: 0, coreCpu: 1, memoryBytes: 0, on: false };
  const fleet = new Fleet(inventory, { ...ESTIMATE, byDays: true });
  const outside = new Place(nowhere, -1);
  const seat = {
    guest: { ...guest, host: '', demand: [guest.cpu], mayChangeSite: true },
    from: outside,
    at: outside,
    expected: { mean: guest.cpu, variance: 0 },
    unknown: false,
    grouped: false,
  };
  const group = fleet.seats.find(
    (other) => guest.together !== undefined && other.guest.together === guest.together,
  );
  const all = group === undefined ? fleet.places : [group.at];
  const [best, ...others] = bestFits(
    seat,
    all.filter(({ host }) => host.on),
    ROOM,
  );
  if (best !== undefined) {
    return {
      host: best.host.name,
      wake: false,
      words: `${best.host.name} is the fullest host that has room`,
      alternatives: others.map(({ host }) => host.name),
    };
  }
  const asleep = all.filter(
    (each) => !each.host.on && objection(seat, each) === undefined && hasCpu(seat, each, ROOM),
  );
  const [woken, ...more] = asleep.toSorted(
    (left, right) => dearness(left.host) - dearness(right.host),
  );
  if (woken === undefined) {
    return { refused: nowhereFor(guest.name, whyNot(seat, all), all) };
  }
  return {
    host: woken.host.name,
    wake: true,
    words: `no host that is awake has room; ${woken.host.name} costs least to run`,
    alternatives: more.slice(0, 2).map(({ host }) => host.name),
  };
}

/** It has no host, so no "other" host either. */
function nowhereFor(guest: string, constraint: Constraint, hosts: readonly Place[]): Refusal {
  const [first] = hosts;
  const why = constraint === 'memory' ? 'has too little memory' : wordsOf(constraint);
  if (first === undefined)
    return { constraint, guest, host: 'no host', words: 'there is no host that it could start on' };
  if (hosts.length === 1)
    return { constraint, guest, host: first.host.name, words: `${first.host.name}: ${why}` };
  const words = `none of ${hosts.length} hosts takes it; of most of them: ${why}`;
  return { constraint, guest, host: 'any host', words };
}
