import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Lane } from '../../src/mover/lane.ts';

describe('a lane', () => {
  test('runs jobs one after another, in order of arrival, however long each takes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3), { maxLength: 20 }), async (lengths) => {
        const lane = new Lane();
        const trace: string[] = [];
        const jobs = lengths.map((length, index) =>
          lane.run(async () => {
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

  test('goes on after a job that fails, and gives its failure to whoever asked', async () => {
    const lane = new Lane();
    const failure = new Error('its own');
    const failing = lane.run(() => Promise.reject(failure));
    const next = lane.run(async () => 'next');
    await assert.rejects(failing, failure);
    assert.equal(await next, 'next');
  });

  test('is idle once everything that was asked for has ended', async () => {
    const lane = new Lane();
    await lane.idle();
    let ended = 0;
    for (let count = 0; count < 3; count += 1) {
      void lane.run(async () => {
        await Promise.resolve();
        ended += 1;
      });
    }
    await lane.idle();
    assert.equal(ended, 3);
  });
});
