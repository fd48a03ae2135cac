import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError } from '../../../../../src/errors.ts';
import type { Log } from '../../../../../src/log.ts';
import { stopHere } from '../../../../../src/mover/direct/source/guest/stop-here.ts';
import type { SourceContext } from '../../../../../src/mover/direct/source/source-context.ts';
import { answer, waitsFor, type Answer } from '../answers.ts';

const LOST = godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest: 'web1', reason: 'x' });

/** Stops the copy at a hypervisor that answers so; what is logged of it. */
function stopping(stopped: Answer<void>, signal?: AbortSignal) {
  const warnings: unknown[] = [];
  const log = { warn: (_facts: object, text: string) => warnings.push(text) } as unknown as Log;
  const context: unknown = {
    guest: {
      session: async () => ({ stopGuest: (within: AbortSignal) => answer(stopped, within) }),
    },
  };
  return { over: stopHere(context as SourceContext, log, signal), warnings };
}

describe('the copy at the source, which must not run', () => {
  test('is stopped; one whose hypervisor has ended does not run', async () => {
    for (const stopped of [undefined, LOST]) {
      const { over, warnings } = stopping(stopped);
      await over;
      assert.deepEqual(warnings, []);
    }
  });

  test('is reported where it could not be stopped', async () => {
    const { over, warnings } = stopping(new Error('the monitor is gone'));
    await over;
    assert.equal(warnings.length, 1);
  });

  test('is given ten seconds', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { over, warnings } = stopping('silent');
    await waitsFor(t, 10_000, over);
    await over;
    assert.equal(warnings.length, 1);
  });

  test('is not waited for once the migration has ended', async () => {
    const abort = new AbortController();
    const { over, warnings } = stopping('silent', abort.signal);
    abort.abort(new Error('the migration has ended'));
    await over;
    assert.deepEqual(warnings, []);
  });
});
