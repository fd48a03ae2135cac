import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError } from '../../../../../src/errors.ts';
import type { Log } from '../../../../../src/log.ts';
import { giveUpHere, stopHere } from '../../../../../src/mover/direct/source/guest/end-here.ts';
import type { HypervisorPort, StepContext } from '../../../../../src/mover/direct/source/ports.ts';
import { answer, waitsFor, type Answer } from '../answers.ts';

const never = new AbortController().signal;
const LOST = godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest: 'web1', reason: 'x' });

/** Stops the copy at a hypervisor that answers so; what is logged of it. */
function stopping(stopped: Answer<void>, signal?: AbortSignal) {
  const warnings: unknown[] = [];
  const log = { warn: (_facts: object, text: string) => warnings.push(text) } as unknown as Log;
  const hypervisor: unknown = {
    session: async () => ({ stopGuest: (within: AbortSignal) => answer(stopped, within) }),
  };
  return { over: stopHere(hypervisor as HypervisorPort, log, signal), warnings };
}

describe('a source copy that must not run', () => {
  test('a source copy that must not run is stopped; one whose hypervisor has ended does not run', async () => {
    for (const stopped of [undefined, LOST]) {
      const { over, warnings } = stopping(stopped);
      await over;
      assert.deepEqual(warnings, []);
    }
  });

  test('a source copy that could not be stopped is reported', async () => {
    const { over, warnings } = stopping(new Error('the monitor is gone'));
    await over;
    assert.equal(warnings.length, 1);
  });

  test('a source copy gets ten seconds to stop', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { over, warnings } = stopping('silent');
    await waitsFor(t, 10_000, over);
    await over;
    assert.equal(warnings.length, 1);
  });

  test('a source copy is not awaited once the migration has ended', async () => {
    const abort = new AbortController();
    const { over, warnings } = stopping('silent', abort.signal);
    abort.abort(new Error('the migration has ended'));
    await over;
    assert.deepEqual(warnings, []);
  });
});

const TIDIED = ['withdraw', 'remove ports', 'take back /var/lib/godwit/guests/web1'];

function sourceOf(run: 'running' | 'paused' | 'no session') {
  const calls: string[] = [];
  const session = {
    status: async () => ({ run, stream: 'completed' }),
    quit: async (_signal: AbortSignal, { keepsData = false } = {}) =>
      void calls.push(keepsData ? 'quit' : 'quit, and remove its data'),
  };
  const context: unknown = {
    host: {
      config: { name: 'a', stateDir: '/var/lib/godwit' },
      removeTree: async () => void calls.push('remove'),
    },
    request: { request: { guest: 'web1' } },
    hypervisor: {
      session: async () => {
        if (run === 'no session') throw LOST;
        return session;
      },
      takeBack: async (dir: string) => void calls.push(`take back ${dir}`),
    },
    dataPath: { abort: () => void calls.push('abort') },
    network: {
      withdraw: async () => void calls.push('withdraw'),
      removePorts: async () => void calls.push('remove ports'),
    },
  };
  return { context: context as StepContext, calls };
}

describe('a copy that is given up', () => {
  test('a copy that is given up to another host is ended, and its files stay', async () => {
    const { context, calls } = sourceOf('paused');
    await giveUpHere(context, never);
    assert.deepEqual(calls, ['abort', 'quit', ...TIDIED]);
  });

  test('a copy that is given up is cleaned up if its hypervisor has ended', async () => {
    const { context, calls } = sourceOf('no session');
    await giveUpHere(context, never);
    assert.deepEqual(calls, TIDIED);
  });

  test('a copy that is given up is not ended if it runs', async () => {
    const { context, calls } = sourceOf('running');
    await assert.rejects(giveUpHere(context, never), { code: 'GODWIT_HELD' });
    assert.deepEqual(calls, []);
  });
});
