import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DestinationSession } from '../../../../src/port/direct.ts';
import { godwitError } from '../../../../src/errors.ts';
import { untilReady } from '../../../../src/mover/direct/destination/run-guest.ts';
import { planned } from '../../../migration/direct/samples.ts';
import { ledgerOf } from './ledgers.ts';

const never = new AbortController().signal;
const lost = godwitError('GODWIT_HYPERVISOR_LOST', {
  side: 'destination',
  guest: 'web1',
  reason: 'the stream broke before the guest could run',
});

describe('a commit to a destination', () => {
  const sessionWith = (ready: () => Promise<void>) => ({ ready }) as unknown as DestinationSession;
  const unasked = sessionWith(() => Promise.reject(new Error('nobody has to wait')));

  test('a commit in pre-copy waits for nothing, since everything is there', async (t) => {
    await untilReady(unasked, ledgerOf(t, 'precopy').ledger, never);
  });

  test('a commit in post-copy waits until the guest can run', async (t) => {
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

  test('a commit is refused if the hypervisor ends before it could run, and reports that it never ran', async (t) => {
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

  test('a commit that fails otherwise reports its cause, and may be repeated', async (t) => {
    const { ledger, journaled } = ledgerOf(t, 'postcopy');
    const late = godwitError('GODWIT_DEADLINE', { what: 'the monitor', deadlineMs: 1 });
    const session = sessionWith(() => Promise.reject(late));
    await assert.rejects(untilReady(session, ledger, never), { code: 'GODWIT_DEADLINE' });
    assert.deepEqual(journaled(), []);
  });

  test('a commit that was given before is not awaited again', async (t) => {
    const { epoch } = planned({ mode: 'postcopy' });
    const { ledger } = ledgerOf(t, 'postcopy', { type: 'committed', epoch });
    await untilReady(unasked, ledger, never);
  });
});
