import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { packed, unpacked } from '../../../src/controller/history/kept-report.ts';
import { hasCode } from '../../../src/errors.ts';
import { report } from '../../cli/fake.ts';

test('a report comes back from the database as it was', () => {
  const made = report();
  assert.deepEqual(unpacked(packed(made) ?? ''), made);
});

test('a report of ten thousand rounds keeps its first, its last and some rounds between', () => {
  const [round] = report().roundList;
  const roundList = Array.from({ length: 10_000 }, (_none, at) => ({ ...round!, round: at }));
  const kept = packed(report({ roundList })) ?? '';
  assert.ok(kept.length < 64 * 1024, `${kept.length} characters`);
  const rounds = unpacked(kept).roundList.map((each) => each.round);
  assert.deepEqual([rounds.length, rounds[0], rounds.at(-1)], [400, 0, 9999]);
});

test('a report that does not shrink is kept within 64 KiB, or not at all', () => {
  const [round] = report().roundList;
  const noise = (at: number): string => createHash('sha512').update(String(at)).digest('base64');
  const roundList = Array.from({ length: 400 }, (_none, at) => ({
    ...round!,
    round: at,
    dirtyRate: at * 1e9 + Math.random() * 1e9,
    throughput: Math.random() * 1e9,
  }));
  const checks = (count: number) =>
    Array.from({ length: count }, (_none, at) => ({
      ...report().checks[0]!,
      evidence: Array.from({ length: 10 }, (_nothing, nth) => noise(at * 10 + nth)).join(''),
    }));
  const kept = packed(report({ roundList, checks: checks(40) })) ?? '';
  assert.ok(kept.length > 0 && kept.length <= 64 * 1024, `${kept.length} characters`);
  assert.equal(packed(report({ roundList, checks: checks(200) })), undefined);
});

test('a report that is too long without its rounds is not kept, and a malformed one is an error', () => {
  const checks = Array.from({ length: 256 }, () => ({
    ...report().checks[0]!,
    evidence: 'x'.repeat(4096),
  }));
  assert.equal(packed(report({ checks })), undefined);
  assert.throws(
    () => unpacked('bm9uc2Vuc2U='),
    (thrown) => hasCode(thrown, 'GODWIT_INTERNAL'),
  );
});
