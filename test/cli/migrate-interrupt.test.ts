import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError } from '../../src/errors.ts';
import { godwit, ID, progress, report, sample } from './fake.ts';
import type { FakeContext } from './fake.ts';
import { world } from './migrating.ts';
import type { World } from './migrating.ts';

describe('Ctrl-C on godwit migrate', () => {
  /** Events that wait: `step` lets the next one through. */
  function waiting(context: () => FakeContext, interrupts: number): NonNullable<World['events']> {
    return async function* (signal) {
      yield progress('memory', { sample: sample(1) });
      for (let each = 0; each < interrupts; each += 1) context().interrupt();
      await Promise.resolve();
      signal?.throwIfAborted();
      yield progress('undoing');
      yield progress('cancelled');
    };
  }

  test('asks to cancel, says what will happen and waits for it', async () => {
    let cancelled = 0;
    const { context } = world({
      events: waiting(() => context, 1),
      ending: report({ outcome: 'cancelled', phase: 'cancelled', runsAt: 'source' }),
      more: {
        cancel: async () => {
          cancelled += 1;
          return { accepted: true, what: 'web1 stays on a' };
        },
      },
    });
    assert.equal(await godwit(context, 'migrate web1 --to b'), 6);
    assert.equal(cancelled, 1);
    assert.match(context.out.text, /cancel: web1 stays on a \(Ctrl-C again/);
  });

  test('twice leaves the migration to itself', async () => {
    const { context } = world({
      events: waiting(() => context, 2),
      more: { cancel: async () => ({ accepted: true, what: 'web1 stays on a' }) },
    });
    assert.equal(await godwit(context, 'migrate web1 --to b'), 130);
    assert.match(context.err.text, new RegExp(`godwit watch ${ID}`));
  });

  test('past the point of no return says so and goes on watching', async () => {
    const { context } = world({
      async *events() {
        yield progress('switchover');
        context.interrupt();
        await Promise.resolve();
        yield progress('done');
      },
      more: {
        cancel: async () => {
          throw godwitError('GODWIT_CANCEL_TOO_LATE', { id: ID, phase: 'switchover' });
        },
      },
    });
    assert.equal(await godwit(context, 'migrate web1 --to b'), 0);
    assert.match(context.out.text, /past the point of no return/);
  });
});
