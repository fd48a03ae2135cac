import type { Waiting } from '../../protocol/controller/fleet-request.ts';

/** A move that runs, and how long it is predicted to take. */
export interface Underway {
  readonly createdAtMs: number;
  readonly seconds: number;
}

export interface Slots {
  readonly nowMs: number;
  /** Moves at a time. */
  readonly parallel: number;
  readonly running: readonly Underway[];
  /** s that each waiting guest's move is predicted to take. */
  readonly seconds: ReadonlyMap<string, number>;
}

/**
 * What may begin at any moment is expected at the end of this time, ms. A moment that is another one at each look would
 * have the request written at each look.
 */
const SOON_MS = 5000;

/**
 * When each entry is expected to start: in their order, each in the slot that is free soonest. One whose start nobody can
 * predict (it waits for room, or for a host that is silent) has none and takes no slot.
 */
export function withStarts(queue: readonly Waiting[], slots: Slots): Waiting[] {
  const { nowMs, parallel, running, seconds } = slots;
  const soonMs = Math.ceil(nowMs / SOON_MS) * SOON_MS;
  const free = running.map((each) =>
    Math.max(soonMs, Math.round(each.createdAtMs + each.seconds * 1000)),
  );
  while (free.length < Math.max(1, parallel)) free.push(soonMs);
  return queue.map((entry) => {
    const took = seconds.get(entry.guest);
    if (took === undefined || !PREDICTABLE[entry.waitsFor]) return entry;
    free.sort((left, right) => left - right);
    const startsAtMs = Math.max(free[0] ?? soonMs, entry.startsAtMs ?? 0);
    free[0] = startsAtMs + Math.round(took * 1000);
    return { ...entry, startsAtMs };
  });
}

/** Whether the end of moves, or the clock, is all that an entry waits for. */
const PREDICTABLE: Readonly<Record<Waiting['waitsFor'], boolean>> = {
  'host-limit': true,
  'destination-limit': true,
  'link-limit': true,
  'request-limit': true,
  'fleet-limit': true,
  turn: true,
  retry: true,
  window: true,
  memory: false,
  apart: false,
  destination: false,
  plan: false,
  'other-move': false,
  'two-hosts': false,
  manager: false,
  silence: false,
};
