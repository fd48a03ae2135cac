/** Invents faults for a history (`--trouble`), to test a policy in bad weeks. Pure: deterministic by seed. */
import { seeded } from '../seeded.ts';
import type { SceneEvent } from './events.ts';
import { TICK_S, type History } from './history.ts';

/** Frequency per week: of each host, each guest, and the controller. */
const A_WEEK = {
  fail: 0.2,
  drain: 0.3,
  silent: 1,
  lie: 0.3,
  restart: 5,
} as const;
/** Duration of each, s: from, to. */
const LASTS = {
  fail: [600, 7200],
  drain: [3600, 14_400],
  silent: [600, 3600],
  lie: [300, 7200],
} as const;
const WEEK_S = 7 * 24 * 3600;

export const FAILING = 0.03;

export function troubled(history: History, seed: number, times = 1): History {
  const random = seeded(seed);
  const seconds = history.ticks * TICK_S;
  const moments = (aWeek: number): number[] => {
    const mean = (times * aWeek * seconds) / WEEK_S;
    const count = Math.floor(mean) + (random() < mean % 1 ? 1 : 0);
    return Array.from({ length: count }, () => random() * seconds);
  };
  const spell = (
    what: keyof typeof LASTS,
    make: (at: number, begins: boolean) => SceneEvent,
  ): SceneEvent[] =>
    moments(A_WEEK[what]).flatMap((at) => {
      const [from, to] = LASTS[what];
      return [make(at, true), make(at + from + random() * (to - from), false)];
    });
  const ofHosts = history.hosts.flatMap(({ name: host }) => [
    ...spell('fail', (at, begins) => ({ at, kind: begins ? 'fail' : 'back', host })),
    ...spell('drain', (at, begins) => ({ at, kind: begins ? 'drain' : 'open', host })),
    ...spell('silent', (at, begins) => ({ at, kind: begins ? 'silent' : 'heard', host })),
  ]);
  const lies = ['lies-nan', 'lies-negative', 'lies-above'] as const;
  const ofGuests = history.guests.flatMap(({ name: guest }) =>
    spell('lie', (at, begins) => {
      const kind = begins ? (lies[Math.floor(random() * lies.length)] ?? 'lies-nan') : 'tells';
      return { at, kind, guest };
    }),
  );
  const restarts = moments(A_WEEK.restart).map((at): SceneEvent => ({ at, kind: 'restart' }));
  const events = [...(history.events ?? []), ...ofHosts, ...ofGuests, ...restarts];
  return { ...history, events: events.toSorted((left, right) => left.at - right.at) };
}
