import { defined } from '../protocol/defined.ts';
import { wordsOf } from './constraints.ts';
import { costOf } from './cost.ts';
import type { Fleet, Place, Seat } from './fleet.ts';
import type { Plan, PlannedMove, Refusal } from './inventory.ts';

export function planOf(
  fleet: Fleet,
  moves: readonly PlannedMove[],
  refusals: readonly Refusal[] = [],
): Plan {
  const wake = fleet.places.filter(({ host, seats }) => !host.on && seats.length > 0);
  const left = new Set(moves.map(({ from }) => from));
  const emptied = fleet.places.filter(
    ({ host, seats }) => seats.length === 0 && left.has(host.name),
  );
  const unknown = fleet.seats
    .filter((seat) => seat.unknown)
    .map(({ guest }) => refusal('unknown-load', guest.name, guest.host));
  const lost = fleet.lost.map((guest) => refusal('unknown-host', guest.name, guest.host));
  return {
    moves,
    refusals: [...refusals, ...unknown, ...lost],
    wake: wake.map(({ host }) => host.name),
    emptied: emptied.map(({ host }) => host.name),
  };
}

export function refusal(constraint: Refusal['constraint'], guest: string, host: string): Refusal {
  return { constraint, guest, host, words: `${guest} on ${host}: ${wordsOf(constraint)}` };
}

export interface Why {
  readonly reason: PlannedMove['reason'];
  readonly words: string;
  readonly alternatives: readonly Place[];
  readonly worth?: PlannedMove['worth'];
  readonly swapsWith?: string;
}

export function moveOf(
  { guest, from, at }: Seat,
  { reason, words, alternatives, worth, swapsWith }: Why,
): PlannedMove {
  return {
    guest: guest.name,
    from: from.host.name,
    to: at.host.name,
    reason,
    words,
    cost: costOf(guest, from.host, at.host),
    alternatives: alternatives.map(({ host }) => host.name).slice(0, 2),
    ...defined({ worth, swapsWith }),
  };
}
