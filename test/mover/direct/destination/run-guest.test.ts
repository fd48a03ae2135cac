import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { DestinationSession } from '../../../../src/port/direct.ts';
import { godwitError } from '../../../../src/errors.ts';
import type { DestinationEvent } from '../../../../src/migration/direct/destination/destination.ts';
import { lookAt, runGuest, runsHere } from '../../../../src/mover/direct/destination/run-guest.ts';
import type { HaltKind } from '../../../../src/protocol/guest-halt.ts';
import { planned } from '../../../migration/direct/samples.ts';
import { ledgerOf } from './ledgers.ts';
import { granted } from '../../../migration/permission/granted.ts';

const never = new AbortController().signal;
const committed = { type: 'committed', epoch: planned().epoch } as const;
const lost = godwitError('GODWIT_HYPERVISOR_LOST', {
  side: 'destination',
  guest: 'web1',
  reason: 'its monitor closed the connection',
});

/** A hypervisor that ends when it is to run its guest; `neverRan`: what is known of that. */
function ending(neverRan?: () => Promise<boolean>): DestinationSession {
  const session = { resumeGuest: () => Promise.reject(lost) };
  const whole = { ...session, ...(neverRan === undefined ? {} : { neverRan }) };
  return whole as unknown as DestinationSession;
}

describe('a committed guest whose hypervisor ends', () => {
  test('a committed guest goes back to its source if it provably never ran', async (t) => {
    const { ledger, journaled } = ledgerOf(t, 'precopy', committed);
    assert.equal(ledger.state.right, 'running');
    const run = runGuest(
      ending(() => Promise.resolve(true)),
      ledger,
      granted('web1'),
      never,
    );
    await assert.rejects(run, { code: 'GODWIT_NOT_ARMED' });
    assert.equal(ledger.state.right, 'refused');
    assert.deepEqual(journaled().at(-1), {
      type: 'never-ran',
      epoch: committed.epoch,
      why: lost.message,
    });
  });

  test('a committed guest is not given back if it may have run', async (t) => {
    const sessions = [
      ending(() => Promise.resolve(false)),
      ending(() => Promise.reject(new Error('its process does not end'))),
      ending(),
    ];
    for (const session of sessions) {
      const { ledger, journaled } = ledgerOf(t, 'precopy', committed);
      await assert.rejects(runGuest(session, ledger, granted('web1'), never), {
        code: 'GODWIT_HYPERVISOR_LOST',
      });
      assert.equal(ledger.state.right, 'running');
      assert.deepEqual(journaled(), []);
    }
  });

  test('a committed guest has run here if its hypervisor reported that before it ended', async (t) => {
    const { ledger } = ledgerOf(t, 'precopy', committed);
    const session = {
      resumeGuest: async () => {
        await ledger.record({ type: 'hypervisor', event: { type: 'resumed' } });
        await ledger.record({ type: 'hypervisor', event: { type: 'lost', reason: 'killed' } });
        throw lost;
      },
      neverRan: () => Promise.resolve(false),
    } as unknown as DestinationSession;
    await runGuest(session, ledger, granted('web1'), never);
    assert.equal(ledger.state.hasRun, true);
    assert.equal(ledger.state.hypervisor, 'gone');
  });

  test('a committed guest is not checked after any other failure', async (t) => {
    const { ledger } = ledgerOf(t, 'precopy', committed);
    const session = {
      resumeGuest: () => Promise.reject(new Error('no')),
      neverRan: () => Promise.resolve(true),
    } as unknown as DestinationSession;
    await assert.rejects(runGuest(session, ledger, granted('web1'), never), /^Error: no$/);
    assert.equal(ledger.state.right, 'running');
  });
});

describe('a cold guest', () => {
  const HANDLE = { driver: 'fake', name: 'web1', pid: 2, startTicks: 2, monitor: '/qmp2' };

  /** Runs a guest of a cold move; `startCold`: whether its driver knows such moves. */
  async function run(t: TestContext, knows = true, ...more: DestinationEvent[]) {
    const { ledger, journaled } = ledgerOf(t, 'cold', committed, ...more);
    const done: string[] = [];
    const session = {
      resumeGuest: async () => void done.push('resumeGuest'),
      ...(knows && {
        startCold: async () => {
          done.push('startCold');
          return HANDLE;
        },
      }),
    } as unknown as DestinationSession;
    await runGuest(session, ledger, granted('web1'), never);
    return { done, journaled, ledger };
  }

  test('a cold guest is not given back by a mover that took over after the commit', async (t) => {
    const session = {
      startCold: () => Promise.reject(lost),
      neverRan: () => Promise.resolve(true),
    } as unknown as DestinationSession;
    const first = ledgerOf(t, 'cold', committed);
    const own = runGuest(session, first.ledger, granted('web1'), never);
    await assert.rejects(own, { code: 'GODWIT_NOT_ARMED' });
    const { ledger, journaled } = ledgerOf(t, 'cold', committed);
    const later = runGuest(session, ledger, granted('web1'), never, true);
    await assert.rejects(later, { code: 'GODWIT_HYPERVISOR_LOST' });
    assert.equal(ledger.state.right, 'running');
    assert.deepEqual(journaled(), []);
  });

  test('a cold guest is started before it is to run, and its process is in the journal by then', async (t) => {
    const { done, journaled, ledger } = await run(t);
    assert.deepEqual(done, ['startCold', 'resumeGuest']);
    assert.deepEqual(journaled(), [
      { type: 'prepared', handle: HANDLE, memoryAddress: ledger.state.memoryAddress },
    ]);
  });

  test('a cold guest is never started again once it has run', async (t) => {
    const { done } = await run(t, true, { type: 'hypervisor', event: { type: 'resumed' } });
    assert.deepEqual(done, ['resumeGuest']);
  });

  test('a cold guest is not run by a driver without cold moves', async (t) => {
    await assert.rejects(run(t, false), { code: 'GODWIT_INTERNAL' });
  });
});

describe('a guest started by an earlier mover', () => {
  const at = (run: string) =>
    ({ status: async () => ({ run, stream: 'none' }) }) as unknown as DestinationSession;

  test('a guest runs here if its hypervisor shows it, and that is recorded', async (t) => {
    for (const run of ['paused', 'incoming', 'gone']) {
      const { ledger, journaled } = ledgerOf(t, 'cold', committed);
      assert.equal(await runsHere(at(run), ledger, never), false);
      assert.deepEqual(journaled(), []);
    }
    const { ledger, journaled } = ledgerOf(t, 'cold', committed);
    assert.equal(await runsHere(at('running'), ledger, never), true);
    assert.equal(ledger.state.hasRun, true);
    assert.deepEqual(journaled(), [{ type: 'hypervisor', event: { type: 'resumed' } }]);
  });

  test('an unanswered question to the hypervisor leaves it open whether the guest runs', async (t) => {
    const { ledger } = ledgerOf(t, 'cold', committed);
    const silent = { status: () => Promise.reject(new Error('no answer')) };
    const looked = runsHere(silent as unknown as DestinationSession, ledger, never);
    await assert.rejects(looked, { code: 'GODWIT_HELD' });
  });
});

describe('a check of the guest', () => {
  const looking = (kind: HaltKind): DestinationSession => {
    const status = async () => ({ run: 'paused', stream: 'completed', halt: { kind } });
    return { status } as unknown as DestinationSession;
  };

  test('a check of the guest notes once that it is stopped, if it has run here', async (t) => {
    const running = { type: 'running', epoch: committed.epoch, resumeMs: 1 } as const;
    const { ledger, journaled } = ledgerOf(t, 'precopy', committed, running);
    for (const _ of [1, 2]) assert.ok(await lookAt(looking('shut-down'), ledger, 1000));
    assert.deepEqual(ledger.state.halted, { kind: 'shut-down' });
    assert.deepEqual(journaled(), [
      { type: 'hypervisor', event: { type: 'stopped', halt: { kind: 'shut-down' } } },
    ]);
  });

  test('a guest that has yet to run does not count as halted', async (t) => {
    const { ledger, journaled } = ledgerOf(t, 'precopy', committed);
    await lookAt(looking('paused'), ledger, 1000);
    assert.deepEqual(journaled(), []);
  });
});
