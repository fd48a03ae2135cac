import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { systemClock } from '../../../../src/clock.ts';

/** What somebody who is asked comes to: a value, an error, or nothing before the signal aborts. */
export type Answer<T> = T | Error | 'silent';

export function answer<T>(given: Answer<T>, signal: AbortSignal): Promise<T> {
  if (given instanceof Error) return Promise.reject(given);
  if (given !== 'silent') return Promise.resolve(given);
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** A destination whose calls are these. */
export function peerOf(api: object) {
  const route = (address: string): string => `routed ${address}`;
  return {
    resume: () => undefined,
    call: (_id: string, _signal: AbortSignal, question: (api: object, way: object) => unknown) =>
      question(api, route),
  };
}

/** All that can go on without time going on has done so. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** With mocked timers: `outcome` is still open when all but 1 ms of `ms` is over; then that is over, too. */
export async function waitsFor(
  t: TestContext,
  ms: number,
  outcome: Promise<unknown>,
): Promise<void> {
  let isSettled = false;
  const note = (): void => void (isSettled = true);
  outcome.then(note, note);
  await turn();
  t.mock.timers.tick(ms - 1);
  await turn();
  assert.ok(!isSettled);
  t.mock.timers.tick(1);
  await turn();
}

/** Time that goes on when somebody sleeps, or when the test says so. */
export function timeOf(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const goOn = async (ms: number): Promise<void> => {
    now += ms;
    t.mock.timers.tick(ms);
    await turn();
  };
  t.mock.method(systemClock, 'monotonicMs', () => now);
  t.mock.method(systemClock, 'sleep', async (ms: number, signal?: AbortSignal) => {
    await goOn(ms);
    signal?.throwIfAborted();
  });
  return { goOn, now: () => now };
}

/** A host whose configuration caps nothing by the time of day. */
export const UNCAPPED = {
  config: { limits: { bandwidth: [] } },
  timedCap: { saw: async (): Promise<void> => {} },
  disks: { holdsSwitch: false },
};

/** Of a guest that nobody changes. */
export const UNCHANGED = {
  changes: {
    assertReady: async (): Promise<void> => undefined,
    assertSame: async (): Promise<void> => undefined,
    explain: async (): Promise<undefined> => undefined,
    watch: async (): Promise<void> => undefined,
    checks: () => [],
  },
};
