import type { Waiting } from '../../protocol/controller/fleet-request.ts';

export interface Underway {
  readonly createdAtMs: number;
  readonly seconds: number;
}

export interface Slots {
  readonly nowMs: number;
  readonly parallel: number;
  readonly running: readonly Underway[];
  readonly seconds: ReadonlyMap<string, number>;
}

/**
 * Expected start, from now, of moves that may begin at any moment, ms. Rounded, because a start that changes at each
 * look would cause a write each time.
 */
const SOON_MS = 5000;

/**
 * Expected start of each entry, in order, in the slot that is free first. Unpredictable ones (waiting for room or a
 * silent host) have none and take no slot.
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

/** The end of other moves, or time, is all that is awaited. */
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
