import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Tunnel } from '../../../../../src/disks/copy/tunnel/open.ts';
import { godwitError, hasCode } from '../../../../../src/errors.ts';
import { silentLog } from '../../../../../src/log.ts';
import { CloseThere } from '../../../../../src/mover/direct/source/disks/disks.ts';
import { unreachable } from '../unreachable.ts';

type Dependencies = ConstructorParameters<typeof CloseThere>[0];

const running = { host: 'b', guest: 'db1', epoch: 1, reason: 'it is running' };
const refused = godwitError('GODWIT_NOT_ARMED', running);
const signal = AbortSignal.timeout(5000);

describe("the destination's end of copies", () => {
  /** A destination that answers so, call by call. */
  function destination(answers: readonly (Error | 'done')[], copies = [{ node: 'disk0' }]) {
    const calls: object[] = [];
    const context = {
      dir: '/nowhere',
      request: { id: 'm1' },
      state: () => ({ plan: { epoch: 1, settings: {} }, known: { copies } }),
      peer: {
        resume: () => {},
        call: async () => {
          const answer = answers[calls.length];
          calls.push({});
          if (answer instanceof Error) throw answer;
        },
      },
    };
    return { context: context as unknown as Dependencies, calls };
  }

  test("the destination's end of copies is requested once, and ends their path", async () => {
    const { context, calls } = destination(['done']);
    const there = new CloseThere(context, silentLog);
    const aborted = Promise.withResolvers<unknown>();
    there.begin({ abort: aborted.resolve } as unknown as Tunnel);
    await there.ended(signal);
    await aborted.promise;
    assert.equal(calls.length, 1);
  });

  test('the end is requested again before the guest runs there after a failure or a takeover', async () => {
    const failed = destination([unreachable, 'done']);
    const there = new CloseThere(failed.context, silentLog);
    there.begin(undefined);
    await there.ended(signal);
    assert.equal(failed.calls.length, 2);
    const { context, calls } = destination(['done']);
    await new CloseThere(context, silentLog).ended(signal);
    assert.equal(calls.length, 1);
  });

  test('a failing end of copies keeps the guest from running at the destination', async () => {
    const { context } = destination([unreachable]);
    const ended = new CloseThere(context, silentLog).ended(signal);
    await assert.rejects(ended, (error) => hasCode(error, 'GODWIT_UNREACHABLE'));
  });

  test('the end of copies is not requested if the guest runs there already, or nothing was copied', async () => {
    const { context } = destination([refused]);
    await new CloseThere(context, silentLog).ended(signal);
    const none = destination([], []);
    await new CloseThere(none.context, silentLog).ended(signal);
    assert.equal(none.calls.length, 0);
  });
});
