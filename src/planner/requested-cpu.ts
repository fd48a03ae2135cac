import type { Inventory, PlannerGuest } from './inventory.ts';

/** Looks whose pressure is averaged, and the highest credible pressure. */
const LOOKS = 3;
const MAX_PRESSURE = 0.9;

/** Converts use to demand: waiting guests got less than they asked for. */
export function asked(inventory: Inventory): Inventory {
  const pressure = new Map(inventory.hosts.map((host) => [host.name, host.pressure]));
  const guests = inventory.guests.map((guest): PlannerGuest => {
    const waits = meanOf(guest.steal ?? pressure.get(guest.host) ?? []);
    if (waits === 0) return guest;
    const demand = guest.demand.map((each) =>
      each > guest.cpu ? each : Math.min(guest.cpu, each / (1 - waits)),
    );
    return { ...guest, demand };
  });
  return { hosts: inventory.hosts, guests };
}

function meanOf(looks: readonly number[]): number {
  const sensible = looks.slice(0, LOOKS).filter((each) => each >= 0 && each <= 1);
  if (sensible.length === 0) return 0;
  const sum = sensible.reduce((total, each) => total + each, 0);
  return Math.min(MAX_PRESSURE, sum / sensible.length);
}
