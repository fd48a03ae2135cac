import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Vantage } from '../../src/agent/vantage.ts';
import type { StartWatcher, WatchLine } from '../../src/agent/watcher-process.ts';
import { systemClock } from '../../src/clock.ts';
import { agentConfig } from '../../src/config.ts';
import { probing } from '../../src/protocol/peer/vantage.ts';
import type { WatchOrder } from '../../src/protocol/peer/vantage.ts';
import type { Caller } from '../../src/rpc/caller.ts';

const A: Caller = { role: 'agent', name: 'a' };
const B: Caller = { role: 'agent', name: 'b' };
const own = { name: 'c', address: '10.0.0.3:7443', stateDir: '/nowhere' };

function order(id: string): WatchOrder {
  return { id, guest: 'web1', nics: [], probing: probing.parse({}), leaseMs: 20_000 };
}

/** Watchers that do nothing, and what they were told. */
function stage(network: object = {}) {
  const started: WatchLine[] = [];
  const told: string[] = [];
  const ends: (() => void)[] = [];
  const start: StartWatcher = (line) => {
    started.push(line);
    const gone = Promise.withResolvers<void>();
    ends.push(gone.resolve);
    return {
      begun: Promise.resolve(),
      result: gone.promise.then(() => ({ notTried: `it ended by itself` })),
      gone: gone.promise,
      stop: () => told.push(`stop ${line.owner}`),
      stay: (leaseMs) => told.push(`stay ${leaseMs}`),
      end: async () => {
        gone.resolve();
        return { notTried: `ended ${line.owner}` };
      },
    };
  };
  const clock = { ...systemClock, wallMs: () => 5 };
  const vantage = new Vantage(agentConfig.parse({ ...own, network }), clock, start);
  return { vantage, started, told, ends };
}

describe('an agent that watches for others', () => {
  test('begins a watch once, and lets it go on when it is asked again', async () => {
    const { vantage, started, told } = stage();
    assert.deepEqual(vantage.watch(order('m-11111111'), A), { watching: true, wallMs: 5 });
    assert.deepEqual(vantage.watch(order('m-11111111'), A), { watching: true, wallMs: 5 });
    assert.equal(started.length, 1);
    assert.deepEqual(told, ['stay 20000']);
    assert.deepEqual(await vantage.end('m-11111111', {}, A), { notTried: 'ended a/m-11111111' });
  });

  test('says the result again to whoever asks again, and begins no watch that has ended', async () => {
    const { vantage, started } = stage();
    vantage.watch(order('m-11111111'), A);
    const first = await vantage.end('m-11111111', {}, A);
    assert.deepEqual(await vantage.end('m-11111111', {}, A), first);
    vantage.watch(order('m-11111111'), A);
    assert.equal(started.length, 1);
  });

  test('keeps the watches of two hosts apart, whatever ids they name', async () => {
    const { vantage, started } = stage();
    vantage.watch(order('m-11111111'), A);
    assert.match(
      (await vantage.end('m-11111111', {}, B)).notTried ?? '',
      /nothing was being watched/,
    );
    vantage.watch(order('m-11111111'), B);
    assert.deepEqual(
      started.map(({ owner }) => owner),
      ['a/m-11111111', 'b/m-11111111'],
    );
  });

  test('watches no more than eight guests at once, and has room again when one is over', async () => {
    const { vantage, ends } = stage();
    const ask = (at: number) => vantage.watch(order(`m-1111111${at}`), A);
    for (let at = 0; at < 8; at += 1) assert.equal(ask(at).watching, true);
    assert.deepEqual(ask(8), { watching: false, why: 'c watches 8 guests already' });
    ends[0]?.();
    await new Promise(setImmediate);
    assert.equal(ask(8).watching, true);
    // What it came to is not forgotten, and it is not begun again.
    assert.deepEqual(ask(0), { watching: true, wallMs: 5 });
    assert.deepEqual(await vantage.end('m-11111110', {}, A), { notTried: 'it ended by itself' });
  });

  test('lets all of them go when it ends', () => {
    const { vantage, told } = stage();
    vantage.watch(order('m-11111111'), A);
    vantage.watch(order('m-11111111'), B);
    vantage.close();
    assert.deepEqual(told, ['stop a/m-11111111', 'stop b/m-11111111']);
  });

  test('watches for nobody where it is configured so', () => {
    const { vantage, started } = stage({ vantage: false });
    const { watching, why } = vantage.watch(order('m-11111111'), A);
    assert.equal(watching, false);
    assert.match(why ?? '', /as it is configured/);
    assert.equal(started.length, 0);
  });
});
