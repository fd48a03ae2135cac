import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError } from '../../../src/errors.ts';
import { godwit, ID, progress, report, sample, type FakeContext } from '../fake.ts';
import type { InterruptSignal } from '../../../src/cli/context.ts';
import { world, type World } from '../migrating.ts';

describe('signals on godwit migrate', () => {
  /** Events that wait until what the signals lead to has been done. */
  function waiting(
    context: () => FakeContext,
    ...signals: InterruptSignal[]
  ): NonNullable<World['events']> {
    return async function* (signal) {
      yield progress('memory', { sample: sample(1) });
      for (const each of signals) {
        context().interrupt(each);
        await new Promise(setImmediate);
      }
      signal?.throwIfAborted();
      yield progress('undoing');
      yield progress('cancelled');
    };
  }
  const cancelled = report({ outcome: 'cancelled', phase: 'cancelled', runsAt: 'source' });
  const cancel = async () => ({ accepted: true, what: 'web1 stays on a' });
  const never = async () => assert.fail('it must not be cancelled');

  for (const [signal, exit] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    test(`${signal} detaches with a message if there is no terminal to ask at`, async () => {
      const { context } = world({
        events: waiting(() => context, signal),
        more: { cancel: never },
      });
      assert.equal(await godwit(context, 'migrate web1 --to b'), exit);
      assert.match(
        context.err.text,
        new RegExp(`^Detached: .*godwit watch ${ID}.*godwit cancel ${ID}`),
      );
    });
  }

  test('a Ctrl-C at a terminal asks, and cancels on that answer', async () => {
    const { context } = world({
      events: waiting(() => context, 'SIGINT'),
      ending: cancelled,
      more: { cancel },
    });
    context.answers = ['c'];
    assert.equal(await godwit(context, 'migrate web1 --to b'), 6);
    assert.match(context.err.text, /c: cancel it .*d, or Ctrl-C again: detach/);
    assert.match(context.out.text, /cancel: web1 stays on a/);
  });

  test('a Ctrl-C at a terminal keeps watching, or detaches, on that answer', async () => {
    for (const [answer, exit] of [
      ['', 6],
      ['d', 130],
    ] as const) {
      const { context } = world({
        events: waiting(() => context, 'SIGINT'),
        ending: cancelled,
        more: { cancel: never },
      });
      context.answers = [answer];
      assert.equal(await godwit(context, 'migrate web1 --to b'), exit);
    }
  });

  test('a second Ctrl-C never contradicts the first', async () => {
    const unanswered = world({
      events: waiting(() => unanswered.context, 'SIGINT', 'SIGINT'),
      more: { cancel: never },
    });
    unanswered.context.answers = [];
    assert.equal(await godwit(unanswered.context, 'migrate web1 --to b'), 130);
    assert.match(unanswered.context.err.text, /Detached: the migration goes on by itself/);
    const asked = world({
      events: waiting(() => asked.context, 'SIGINT', 'SIGINT'),
      more: { cancel },
    });
    asked.context.answers = ['c'];
    assert.equal(await godwit(asked.context, 'migrate web1 --to b'), 130);
    assert.match(asked.context.err.text, /the cancel that was asked for goes on/);
    assert.doesNotMatch(asked.context.err.text, /Detached/);
  });

  test('a cancel past the point of no return reports it and keeps watching', async () => {
    const { context } = world({
      async *events() {
        yield progress('switchover');
        context.interrupt();
        await new Promise(setImmediate);
        yield progress('done');
      },
      more: {
        cancel: async () => {
          throw godwitError('GODWIT_CANCEL_TOO_LATE', { id: ID, phase: 'switchover' });
        },
      },
    });
    context.answers = ['c'];
    assert.equal(await godwit(context, 'migrate web1 --to b'), 0);
    assert.match(context.out.text, /past the point of no return/);
  });
});
