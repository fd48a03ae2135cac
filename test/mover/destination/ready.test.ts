import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { DestinationSession } from '../../../src/drivers/driver.ts';
import { godwitError } from '../../../src/errors.ts';
import { destinationAfter, initialDestination } from '../../../src/migration/destination.ts';
import type { DestinationEvent } from '../../../src/migration/destination.ts';
import { Ledger } from '../../../src/mover/destination/ledger.ts';
import { untilReady } from '../../../src/mover/destination/ready.ts';
import { openDestinationJournal, readJournals } from '../../../src/mover/journal.ts';
import { admissionOf, planned, preparationOf } from '../../migration/samples.ts';

const never = new AbortController().signal;
const PREPARED = {
  type: 'prepared',
  handle: { driver: 'fake', name: 'web1', pid: 1, startTicks: 1, monitor: '/qmp' },
  memoryAddress: 'b:49152',
} as const;
const lost = godwitError('GODWIT_HYPERVISOR_LOST', {
  side: 'destination',
  guest: 'web1',
  reason: 'the stream broke before the guest could run',
});

describe('a commit to a destination', () => {
  function ledgerOf(t: TestContext, mode: 'precopy' | 'postcopy', ...more: DestinationEvent[]) {
    const dir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
    const { journal } = openDestinationJournal(dir, systemClock);
    t.after(async () => {
      await journal.close();
      rmSync(dir, { recursive: true, force: true });
    });
    const plan = planned({ mode });
    const admitted = { type: 'admitted', admission: admissionOf(plan), host: 'b' } as const;
    const preparing = { type: 'preparing', preparation: preparationOf(plan), ports: {} } as const;
    const armed = { type: 'armed', epoch: plan.epoch, bootId: 'boot-1' } as const;
    const events: DestinationEvent[] = [preparing, PREPARED, armed, ...more];
    const state = events.reduce(destinationAfter, initialDestination(admitted));
    const ledger = new Ledger(journal, 'b', state, () => undefined);
    const journaled = () => readJournals(dir).destination.map(({ event }) => event);
    return { ledger, journaled };
  }

  const sessionWith = (ready: () => Promise<void>) => ({ ready }) as unknown as DestinationSession;
  const unasked = sessionWith(() => Promise.reject(new Error('nobody has to wait')));

  test('in pre-copy waits for nothing: everything is there', async (t) => {
    await untilReady(unasked, ledgerOf(t, 'precopy').ledger, never);
  });

  test('in post-copy waits until the guest can run', async (t) => {
    const loaded = Promise.withResolvers<void>();
    let over = false;
    const session = sessionWith(() => loaded.promise);
    const waiting = untilReady(session, ledgerOf(t, 'postcopy').ledger, never).then(() => {
      over = true;
    });
    await new Promise(setImmediate);
    assert.equal(over, false);
    loaded.resolve();
    await waiting;
  });

  test('whose hypervisor ends before it could run is refused, with the word that it never ran', async (t) => {
    const { ledger, journaled } = ledgerOf(t, 'postcopy');
    const session = sessionWith(() => Promise.reject(lost));
    await assert.rejects(untilReady(session, ledger, never), {
      code: 'GODWIT_NOT_ARMED',
      message: /never ran the guest/,
    });
    assert.equal(ledger.state.hypervisor, 'gone');
    assert.deepEqual(
      journaled().map(({ type }) => type),
      ['hypervisor'],
    );
  });

  test('that fails otherwise says what it failed of, and may come again', async (t) => {
    const { ledger, journaled } = ledgerOf(t, 'postcopy');
    const late = godwitError('GODWIT_DEADLINE', { what: 'the monitor', deadlineMs: 1 });
    const session = sessionWith(() => Promise.reject(late));
    await assert.rejects(untilReady(session, ledger, never), { code: 'GODWIT_DEADLINE' });
    assert.deepEqual(journaled(), []);
  });

  test('that was given before is not waited for again', async (t) => {
    const { epoch } = planned({ mode: 'postcopy' });
    const { ledger } = ledgerOf(t, 'postcopy', { type: 'committed', epoch });
    await untilReady(unasked, ledger, never);
  });
});
