import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Turns } from '../../src/agent/turns.ts';

describe('turns by key', () => {
  const { signal } = new AbortController();
  const turn = { what: 'an earlier job', deadlineMs: 1000, signal };

  test('the jobs of one key run one after another, and the jobs of another key at once', async () => {
    const turns = new Turns();
    const first = Promise.withResolvers<string>();
    const trace: string[] = [];
    const jobs = [
      turns.run('a', turn, () => first.promise),
      turns.run('a', turn, async () => trace.push('second of a')),
    ];
    assert.equal(await turns.run('b', turn, async () => trace.push('b')), 1);
    assert.deepEqual(trace, ['b']);
    first.resolve('first of a');
    assert.deepEqual(await Promise.all(jobs), ['first of a', 2]);
  });

  test('the next job runs after a failed one, and nothing is kept of a key without jobs', async () => {
    const turns = new Turns();
    const failing = turns.run('a', turn, () => Promise.reject(new Error('its own')));
    const next = turns.run('a', turn, async () => 'next');
    assert.ok(turns.has('a'));
    assert.equal(turns.has('b'), false);
    await assert.rejects(failing, /its own/);
    assert.equal(await next, 'next');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(turns.has('a'), false);
  });

  test('a job whose turn does not come in time never begins, and the next job does not begin sooner', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const turns = new Turns();
    const first = Promise.withResolvers<void>();
    const trace: string[] = [];
    const job = (name: string) => async (): Promise<void> => {
      trace.push(name);
      if (name === 'first') await first.promise;
    };
    const gone = new AbortController();
    const begun = turns.run('a', turn, job('first'));
    const late = turns.run('a', turn, job('late'));
    const left = turns.run('a', { ...turn, signal: gone.signal }, job('left'));
    const patient = turns.run('a', { ...turn, deadlineMs: 5000 }, job('patient'));
    gone.abort(new Error('the caller is gone'));
    await assert.rejects(left, /the caller is gone/);
    t.mock.timers.tick(1000);
    await assert.rejects(late, { code: 'GODWIT_DEADLINE' });
    assert.deepEqual(trace, ['first']);
    first.resolve();
    await begun;
    await patient;
    assert.deepEqual(trace, ['first', 'patient']);
  });

  test('a job of a caller that has already left never begins', async () => {
    const turns = new Turns();
    const given = { ...turn, signal: AbortSignal.abort(new Error('the caller is gone')) };
    await assert.rejects(
      turns.run('a', given, async () => 'begun'),
      /the caller is gone/,
    );
  });
});
