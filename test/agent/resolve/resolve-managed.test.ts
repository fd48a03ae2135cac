import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { MigrationStore } from '../../../src/agent/migrations/store.ts';
import type { OperatorOrder } from '../../../src/agent/resolve/resolve-answers.ts';
import {
  ManagedResolve,
  type ManagedResolveDependencies,
} from '../../../src/agent/resolve/resolve-managed.ts';
import { systemClock } from '../../../src/clock.ts';
import { MANAGED_JOURNAL, open, readJournals } from '../../../src/host/journal/journal.ts';
import { silentLog } from '../../../src/log.ts';
import type { ManagedEvent } from '../../../src/migration/managed/events.ts';
import { journalFile, type ManagedMoverRequest } from '../../../src/protocol/mover/request.ts';
import { migrationRequest } from '../../../src/protocol/public/migration.ts';
import { openJournalFile } from '../../../src/system/journal-file.ts';
import { planned } from '../../migration/managed/samples.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const { id, guest } = planned();
const late = (step: 'watch' | 'verify'): ManagedEvent => ({ type: 'timeout', step, afterMs: 1 });
/** Its manager does not answer what became of its task. */
const HELD: ManagedEvent[] = [
  ...(['inspect', 'check'] as const).map((step): ManagedEvent => ({
    type: 'did',
    step,
    facts: {},
  })),
  { type: 'ordered' },
  { type: 'accepted' },
  ...(['watch', 'watch', 'verify'] as const).map(late),
];
/** An order that was carried out and led nowhere. */
const ANOTHER_ORDER: ManagedEvent[] = [
  { type: 'resolved', runAt: 'source', proof: 'ask', by: 'bob' },
  ...(['verify'] as const).map(late),
];

/** A held migration of a manager that reports its guest at the source. `asked` runs while the manager is asked. */
async function held(
  t: TestContext,
  asked: (add: (events: readonly ManagedEvent[]) => Promise<void>) => Promise<void>,
) {
  const store = new MigrationStore(tempDir(t), 'a', systemClock);
  const request: ManagedMoverRequest = {
    version: 2,
    id,
    side: 'source',
    lifecycle: 'managed',
    fromHost: 'a',
    toHost: 'b',
    createdAt: '2026-01-01T00:00:00.000Z',
    request: migrationRequest.parse({ guest, to: 'b' }),
    handle: { driver: 'fake', name: guest },
  };
  const { dir } = store.add(request);
  const append = async (events: readonly ManagedEvent[]): Promise<void> => {
    const file = path.join(dir, journalFile('managed'));
    const { journal } = open(file, openJournalFile(file), MANAGED_JOURNAL, systemClock);
    for (const event of events) await journal.append(event, 'later');
    await journal.close();
  };
  await append([planned(), ...HELD]);
  const where = async () => {
    await asked(append);
    return { at: 'source', busy: false };
  };
  const driver = {
    name: 'fake',
    capabilities: { shape: 'managed' },
    openManaged: async () => ({ where, close: async () => {} }),
  };
  const started: string[] = [];
  const deps = {
    config: { name: 'a' },
    clock: systemClock,
    log: silentLog,
    store,
    drivers: [driver],
    movers: { find: () => undefined },
    supervisor: { again: () => {}, ensure: async () => started.push(id) },
  };
  const operator: OperatorOrder = {
    id,
    by: 'ann',
    signal: new AbortController().signal,
    inTurn: (job) => job(),
  };
  const resolve = new ManagedResolve(deps as unknown as ManagedResolveDependencies);
  return {
    order: () =>
      resolve.resolve(
        { id, dir, request },
        { runAt: 'source', confirm: guest, iKnow: false },
        operator,
      ),
    orders: () => readJournals(dir).managed.filter(({ event }) => event.type === 'resolved').length,
    started,
  };
}

test("an order that follows the manager's answer is carried out", async (t) => {
  const { order, orders, started } = await held(t, () => Promise.resolve());
  assert.equal((await order()).proof, 'ask');
  assert.deepEqual([orders(), started], [1, [id]]);
});

test('an order that follows an outdated manager answer is refused, though the migration is held again', async (t) => {
  const { order, orders, started } = await held(t, (add) => add(ANOTHER_ORDER));
  await assert.rejects(order(), /its journal has changed since the hosts were asked/);
  assert.deepEqual([orders(), started], [1, []]);
});
