import { setTimeout as sleep } from 'node:timers/promises';
import type { Measure } from './contract.ts';
import type { ControllerApi, Controllers } from './fleet-controllers.ts';
import { quantile, timeRead, type Watching } from './fleet-reads.ts';
import { askLoad } from './fleet-load.ts';
import { hostNamed } from './fleet-names.ts';

/** Moves that leave a host at a time, where nobody set another limit. */
export const MOVES_OF_EACH = 4;
const HELD_MS = 30_000;
const READS = 100;
/** For which nothing may begin, or end, before the rest counts as never. */
const STUCK_MS = 120_000;

/**
 * Drains so many hosts at once that so many moves are in flight. All of them stay so for half a minute, in which people
 * read; then they end, and the drains go on to their ends. Each host has a drain of its own.
 */
export async function inFlight({
  load,
  hosts,
  say,
  signal,
  controllers,
  moves,
}: Watching & { readonly controllers: Controllers; readonly moves: number }): Promise<Measure[]> {
  const { api } = controllers;
  const drained = Math.ceil(moves / MOVES_OF_EACH);
  const begun = performance.now();
  const ids = Array.from({ length: drained }, (_none, index) => requestNamed(index));
  for (const [index, id] of ids.entries()) {
    say(
      `${hosts} hosts: ${index} of ${drained} drains asked for, ${((performance.now() - begun) / 1000).toFixed(1)} s`,
    );
    const body = { kind: 'drain' as const, hosts: [hostNamed(index)] };
    await api.putRequest({ params: { id }, query: {}, body }, { deadlineMs: STUCK_MS });
  }
  const askedMs = performance.now() - begun;
  const goesOn = async (what: string, count: () => Promise<number>): Promise<void> => {
    let [most, grownMs] = [-1, performance.now()];
    for (let turn = 0; ; turn += 1) {
      signal.throwIfAborted();
      const now = await count();
      if (now >= (what === 'moves in flight' ? moves : drained)) return;
      if (turn % 10 === 0) say(`${hosts} hosts: ${now} ${what}`);
      if (now > most) [most, grownMs] = [now, performance.now()];
      if (performance.now() - grownMs > STUCK_MS) return;
      await sleep(500);
    }
  };
  await goesOn('moves in flight', async () => (await askLoad(load)).moves.open);
  const allBegunMs = performance.now() - begun;
  for (const line of await whatWaits(api, ids)) say(`${hosts} hosts: ${line}`);
  const { readsMs, mostBytes } = await hold({ api, controllers, hosts });
  const freed = performance.now();
  await askLoad(load, 'release');
  await goesOn('drains done', () => countDone(api, ids));
  const doneMs = performance.now() - freed;
  const { mostAtOnce, twice } = (await askLoad(load)).moves;
  const plain = (what: string, value: number, unit: string): Measure => ({
    name: `${hosts} hosts: ${what}`,
    value,
    unit,
    runs: 1,
  });
  return [
    { ...plain('moves in flight at once', mostAtOnce, ''), target: { atLeast: moves } },
    { ...plain('guests moved twice', twice, ''), target: { atMost: 0 } },
    plain(`${drained} drains asked for and planned in`, askedMs / 1000, 's'),
    plain('all in flight after', allBegunMs / 1000, 's'),
    { ...plain('reads meanwhile, p99', quantile(readsMs, 0.99), 'ms'), target: { atMost: 100 } },
    {
      ...plain('resident meanwhile', mostBytes / 1024 ** 2, 'MiB'),
      target: { atMost: 1024 },
    },
    { ...plain('drains done', await countDone(api, ids), ''), target: { atLeast: drained } },
    plain('from the end of the moves to that', doneMs / 1000, 's'),
  ];
}

const requestNamed = (index: number): string => `r-${String(index).padStart(8, '0')}`;

async function hold({
  api,
  controllers,
  hosts,
}: {
  readonly api: ControllerApi;
  readonly controllers: Controllers;
  readonly hosts: number;
}): Promise<{ readsMs: number[]; mostBytes: number }> {
  const [readsMs, start]: [number[], number] = [[], performance.now()];
  let mostBytes = 0;
  for (let read = 0; read < READS; read += 1) {
    await sleep(Math.max(0, start + (read * HELD_MS) / READS - performance.now()));
    readsMs.push(await timeRead(api, read, hosts));
    mostBytes = Math.max(mostBytes, controllers.residentBytes());
  }
  return { readsMs, mostBytes };
}

/** For each thing that guests still wait for: how many do, and one of them in the controller’s words. */
async function whatWaits(api: ControllerApi, ids: readonly string[]): Promise<string[]> {
  const seen = new Map<string, { count: number; words: string }>();
  for (const id of ids) {
    const { request } = await api.request({ params: { id } }, { deadlineMs: STUCK_MS });
    for (const { guest, waitsFor, words } of request.queue) {
      const count = (seen.get(waitsFor)?.count ?? 0) + 1;
      seen.set(waitsFor, { count, words: `${guest}: ${words}` });
    }
  }
  return [...seen].map(([what, { count, words }]) => `${count} wait for ${what} (${words})`);
}

async function countDone(api: ControllerApi, ids: readonly string[]): Promise<number> {
  let done = 0;
  for (const id of ids) {
    const { request } = await api.request({ params: { id } }, { deadlineMs: STUCK_MS });
    if (request.phase === 'done') done += 1;
  }
  return done;
}
