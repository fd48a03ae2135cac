import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import type { MoverProcesses } from '../../../src/agent/processes/mover-process.ts';
import { MigrationStore } from '../../../src/agent/migrations/store.ts';
import { Supervisor } from '../../../src/agent/processes/supervision.ts';
import { systemClock, type Clock } from '../../../src/clock.ts';
import { silentLog } from '../../../src/log.ts';
import { openDestinationJournal } from '../../../src/host/journal/journal.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const id = 'm-00000001';
const admission = { id, guest: 'g', from: 'a', memoryBytes: 1, epoch: 1, timeoutMs: 1000 };

/** A store with one migration that has begun, and movers that end as soon as they are there. */
async function dying(t: TestContext) {
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
  const stateDir = tempDir(t);
  const store = new MigrationStore(stateDir, 'b', clock);
  const migration = store.add({
    version: 1,
    id,
    side: 'destination',
    fromHost: 'a',
    toHost: 'b',
    peer: { name: 'a', address: '127.0.0.1:1' },
    createdAt: new Date(0).toISOString(),
    admission,
  });
  const { journal } = openDestinationJournal(migration.dir, clock);
  await journal.append({ type: 'admitted', admission, host: 'b' }, 'sync');
  const starts: number[] = [];
  const capped: string[] = [];
  const movers: MoverProcesses = {
    start: () => {
      starts.push(nowMs);
      return Promise.resolve({ pid: 1, startTicks: 1, socket: 'none' });
    },
    find: () => undefined,
    isStopped: () => false,
    kill: () => {},
    capLog: (each) => {
      capped.push(each.id);
      return Promise.resolve();
    },
  };
  const supervisor = new Supervisor(store, movers, clock, silentLog);
  return {
    store,
    stateDir,
    journal,
    supervisor,
    starts,
    capped,
    movers,
    /** The checks that a span of time brings. */
    pass: async (ms: number) => {
      for (const until = nowMs + ms; nowMs < until; nowMs += 1000) {
        supervisor.check();
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

test('a mover that keeps dying is replaced after growing pauses, without a limit, and the reason is given', async (t) => {
  const { supervisor, starts, pass } = await dying(t);
  await pass(1000);
  assert.equal(starts.length, 1);
  await pass(60_000);
  assert.equal(supervisor.leftBecause(id), undefined);
  await pass(3_600_000);
  const pauses = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
  assert.deepEqual(
    pauses,
    pauses.toSorted((left, right) => left - right),
  );
  assert.equal(pauses.at(-1), 30_000);
  assert.match(supervisor.leftBecause(id) ?? '', /\d+ times in a row; see mover.log/);
});

test('a mover that lives for a while resets the count of short-lived ones', async (t) => {
  const { supervisor, movers, starts, pass } = await dying(t);
  await pass(600_000);
  assert.notEqual(supervisor.leftBecause(id), undefined);
  const count = starts.length;
  movers.find = () => ({ pid: 1, startTicks: 1, socket: 'none' });
  await pass(120_000);
  movers.find = () => undefined;
  await pass(1000);
  assert.equal(starts.length, count + 1);
  assert.equal(supervisor.leftBecause(id), undefined);
});

test('a mover that was stopped and stays stopped is killed and replaced', async (t) => {
  const { supervisor, movers, starts, pass } = await dying(t);
  const stuck = { pid: 4711, startTicks: 1, socket: 'none' };
  let there = true;
  let stopped = true;
  const killed: number[] = [];
  Object.assign(movers, {
    find: () => (there ? stuck : undefined),
    isStopped: () => stopped,
    kill: ({ pid }: { pid: number }) => {
      killed.push(pid);
      there = false;
    },
  });
  supervisor.check();
  stopped = false;
  await pass(1000);
  assert.deepEqual(killed, [], 'stopped for a moment is nothing');
  stopped = true;
  await pass(2000);
  assert.deepEqual(killed, [4711]);
  await pass(1000);
  assert.equal(starts.length, 1);
});

test("the log of a migration's movers is kept within its bound at each check", async (t) => {
  const { capped, pass, supervisor } = await dying(t);
  await pass(3000);
  assert.deepEqual(capped, Array(3).fill(id));
  supervisor.stop();
});

test('a migration that has ended gets no mover', async (t) => {
  const { journal, pass, starts } = await dying(t);
  await journal.append({ type: 'refused', epoch: 1, why: 'w' }, 'sync');
  await journal.append({ type: 'released' }, 'sync');
  await pass(10_000);
  assert.deepEqual(starts, []);
});

test('callers that need the mover at once share one', async (t) => {
  const { store, supervisor, starts } = await dying(t);
  const migration = store.need(id);
  await Promise.all(Array.from({ length: 5 }, () => supervisor.ensure(migration)));
  assert.equal(starts.length, 1);
});

test('a request that never began is dropped when the agent starts', async (t) => {
  const { store, stateDir, movers } = await dying(t);
  store.add({
    version: 1,
    id: 'm-00000002',
    side: 'destination',
    fromHost: 'a',
    toHost: 'b',
    peer: { name: 'a', address: '127.0.0.1:1' },
    createdAt: new Date(1).toISOString(),
    admission: { ...admission, id: 'm-00000002' },
  });
  const again = new MigrationStore(stateDir, 'b', systemClock);
  const supervisor = new Supervisor(again, movers, systemClock, silentLog);
  supervisor.start();
  supervisor.stop();
  assert.deepEqual(readdirSync(path.join(stateDir, 'migrations')), [id]);
});
