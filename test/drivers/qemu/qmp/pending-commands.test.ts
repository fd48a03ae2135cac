import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { PendingCommands } from '../../../../src/drivers/qemu/qmp/pending-commands.ts';
import { hasCode } from '../../../../src/errors.ts';

const MS = 1000;

function commands(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const at = { nowMs: 0 };
  const pass = (ms: number): void => {
    at.nowMs += ms;
    t.mock.timers.tick(ms);
  };
  return { pending: new PendingCommands(MS, () => at.nowMs), pass };
}

const isLate = (command: string) => (error: unknown) =>
  hasCode(error, 'GODWIT_DEADLINE') && error.message === `\`${command}\` took longer than 1.0 s`;

describe('pending commands', () => {
  test('each command times out at its own time, and the error names it', async (t) => {
    const { pending, pass } = commands(t);
    const first = pending.add(1, 'query-block', undefined);
    pass(400);
    const answered = pending.add(2, 'query-name', undefined);
    const last = pending.add(3, 'query-uuid', undefined);
    pass(600);
    await assert.rejects(first, isLate('query-block'));
    pending.answer(2, { ok: true, value: 2 });
    assert.deepEqual(await answered, { ok: true, value: 2 });
    let isOver = false;
    last.catch(() => (isOver = true));
    pass(399);
    await new Promise(setImmediate);
    assert.equal(isOver, false);
    pass(1);
    await assert.rejects(last, isLate('query-uuid'));
    // Their answers may still come: until then they count.
    assert.equal(pending.size, 2);
    pending.answer(1, { ok: true, value: 1 });
    assert.equal(pending.size, 1);
  });

  test('the commands share one timer, and there is none once no command waits', async (t) => {
    const { pending } = commands(t);
    const set = t.mock.method(globalThis, 'setTimeout');
    const clear = t.mock.method(globalThis, 'clearTimeout');
    const all = Array.from({ length: 100 }, (_, id) => pending.add(id, 'qom-get', undefined));
    for (const id of all.keys()) pending.answer(id, { ok: true, value: id });
    assert.equal((await Promise.all(all)).length, 100);
    assert.equal(set.mock.callCount(), 1);
    assert.equal(clear.mock.callCount(), 1);
  });

  test('a command ends by its own signal alone, and leaves no listener on it', async (t) => {
    const { pending } = commands(t);
    const [one, other] = [new AbortController(), new AbortController()];
    const ended = [1, 2].map((id) => pending.add(id, 'qom-get', one.signal));
    const goesOn = pending.add(3, 'qom-get', other.signal);
    assert.equal(getEventListeners(one.signal, 'abort').length, 1);
    one.abort(new Error('enough'));
    for (const each of ended) await assert.rejects(each, /enough/);
    pending.answer(1, { ok: true, value: 'late' });
    pending.answer(3, { ok: true, value: 3 });
    assert.deepEqual(await goesOn, { ok: true, value: 3 });
    for (const { signal } of [one, other]) {
      assert.equal(getEventListeners(signal, 'abort').length, 0);
    }
  });

  test('all commands are refused at once if no answer will come', async (t) => {
    const { pending, pass } = commands(t);
    const signal = new AbortController().signal;
    const all = [1, 2].map((id) => pending.add(id, 'qom-get', signal));
    pending.fail(new Error('gone'));
    for (const each of all) await assert.rejects(each, /gone/);
    assert.equal(pending.size, 0);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    pass(2 * MS);
  });
});
