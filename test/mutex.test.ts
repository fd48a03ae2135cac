import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Mutex } from '../src/mutex.ts';

describe('a mutex', () => {
  test('a mutex runs jobs one after another, in order of arrival, however long each takes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3), { maxLength: 20 }), async (lengths) => {
        const mutex = new Mutex();
        const trace: string[] = [];
        const jobs = lengths.map((length, index) =>
          mutex.run(async () => {
            trace.push(`begin ${index}`);
            for (let turn = 0; turn < length; turn += 1) await Promise.resolve();
            trace.push(`end ${index}`);
            return index;
          }),
        );
        assert.deepEqual(await Promise.all(jobs), [...lengths.keys()]);
        const expected = lengths.flatMap((_length, index) => [`begin ${index}`, `end ${index}`]);
        assert.deepEqual(trace, expected);
      }),
    );
  });

  test('a mutex continues after a job that fails, and gives its failure to the caller', async () => {
    const mutex = new Mutex();
    const failure = new Error('its own');
    const failing = mutex.run(() => Promise.reject(failure));
    const next = mutex.run(async () => 'next');
    await assert.rejects(failing, failure);
    assert.equal(await next, 'next');
  });

  test('a mutex is idle once all requested jobs have ended', async () => {
    const mutex = new Mutex();
    await mutex.idle();
    let ended = 0;
    for (let count = 0; count < 3; count += 1) {
      void mutex.run(async () => {
        await Promise.resolve();
        ended += 1;
      });
    }
    await mutex.idle();
    assert.equal(ended, 3);
  });
});
