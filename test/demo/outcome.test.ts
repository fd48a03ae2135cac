import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isFine, judgeMove, type Evidence } from '../../demo/outcome.ts';
import { godwitError } from '../../src/errors.ts';
import { client, evidence, later, report, stats, word } from './samples.ts';

function problemsOf(change: Partial<Evidence>): readonly string[] {
  const result = judgeMove({ ...evidence, ...change });
  assert.equal(isFine(result), result.problems.length === 0);
  return result.problems;
}

describe('judging a move', () => {
  test('a move of which all came through is fine, with its measurements', () => {
    const result = judgeMove(evidence);
    assert.deepEqual(result.problems, []);
    assert.ok(isFine(result));
    assert.deepEqual(
      {
        totalMs: result.totalMs,
        downtimeMs: result.downtimeMs,
        blackoutMs: result.blackoutMs,
        clientGapMs: result.clientGapMs,
        connectionKept: result.connectionKept,
        memoryVerified: result.memoryVerified,
        dirtyBytesPerSecond: result.dirtyBytesPerSecond,
      },
      {
        totalMs: 3123,
        downtimeMs: 12,
        blackoutMs: 21,
        clientGapMs: 31.3,
        connectionKept: true,
        memoryVerified: true,
        dirtyBytesPerSecond: 20_000_000,
      },
    );
  });

  test('another checksum after the move is not verified memory', () => {
    const memory = { ...later.memory, hash: 'ffffffffffffffffffffffffffffffff' };
    const result = judgeMove({ ...evidence, after: { ...later, memory } });
    assert.equal(result.memoryVerified, false);
    assert.deepEqual(result.problems, ['the checksum is another one']);
  });

  test('memory that the guest itself finds wrong is a problem, before and after', () => {
    const memory = { ...word.memory, ok: false, badChunks: 2 };
    assert.match(problemsOf({ after: { ...later, memory } }).join(), /2 rewritten parts differ/);
    assert.match(problemsOf({ before: { ...word, memory } }).join(), /wrong before the move/);
  });

  test('a guest that was booted again did not move', () => {
    const after = { ...later, stats: { ...later.stats, bootId: 'boot-2' } };
    assert.deepEqual(problemsOf({ after }), ['the guest was booted again']);
  });

  test('a guest that went back in time did not move', () => {
    const after = { ...later, stats: { ...stats, uptimeMs: stats.uptimeMs - 1 } };
    assert.deepEqual(problemsOf({ after }), ['the guest went back in time']);
  });

  test('a broken connection is reported with its reason', () => {
    const broken = { ...client, connected: false, connectionKept: false, reason: 'ECONNRESET' };
    assert.deepEqual(problemsOf({ client: broken }), ["the client's connection broke: ECONNRESET"]);
  });

  test('answers that were lost or came twice are counted', () => {
    const odd = { ...client, connectionKept: false, lost: 3, doubled: 1 };
    assert.deepEqual(problemsOf({ client: odd }), ['the client missed 3 answers and got 1 twice']);
  });

  test('a guest that runs on both hosts, or on none, is a problem', () => {
    assert.match(problemsOf({ runningOn: ['a', 'b'] }).join(), /a and b, not on b alone/);
    assert.match(problemsOf({ runningOn: [] }).join(), /no host/);
  });

  test('post-copy that went over by pre-copy is a problem, hybrid that did is none', () => {
    assert.deepEqual(problemsOf({ mode: 'postcopy' }), [
      'asked for postcopy, it went over by precopy',
    ]);
    assert.deepEqual(problemsOf({ mode: 'hybrid' }), []);
  });

  test('a migration that failed carries its error', () => {
    const error = godwitError('GODWIT_STREAM_FAILED', { guest: 'web1', reason: 'reset' }).toJSON();
    const failed = { ...report, outcome: 'failed' as const, error };
    const result = judgeMove({ ...evidence, report: failed, runningOn: ['a'] });
    assert.equal(result.outcome, 'failed');
    assert.deepEqual(result.error, error);
    assert.match(result.problems.join(), /ended as failed: the memory stream of web1 broke/);
  });

  test('a migration that was refused has no measurements and the reason', () => {
    const error = godwitError('GODWIT_SAME_HOST', { guest: 'web1', host: 'b' }).toJSON();
    const result = judgeMove({ ...evidence, report: undefined, errors: [error] });
    assert.equal(result.outcome, 'refused');
    assert.equal(result.totalMs, undefined);
    assert.deepEqual(result.problems, [error.message]);
  });

  test('whatever is missing, a move with a piece of evidence missing is never fine', () => {
    const pieces = ['report', 'after', 'client'] as const;
    fc.assert(
      fc.property(fc.subarray([...pieces], { minLength: 1 }), (missing) => {
        const lacking = Object.fromEntries(missing.map((name) => [name, undefined]));
        const result = judgeMove({ ...evidence, ...lacking });
        return !isFine(result) && (!missing.includes('after') || !result.memoryVerified);
      }),
    );
  });
});
