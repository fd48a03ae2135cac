import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  NO_FACTS,
  problemsIn,
  type OwnFacts,
} from '../../../src/controller/health/own-problems.ts';
import { ownProblem } from '../../../src/protocol/controller/own-problems.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = Date.parse('2026-11-30T12:00:00Z');

const found = (facts: Partial<OwnFacts>): string[] =>
  problemsIn({ ...NO_FACTS, ...facts }, NOW_MS).map((each) => {
    ownProblem.parse(each);
    return `${each.about} ${each.severity}: ${each.words}`;
  });
const disk = (freeBytes: number, totalBytes: number): Partial<OwnFacts> => ({
  disks: [{ directory: '/var', freeBytes, totalBytes }],
});

describe('the problems of a controller', () => {
  test('a controller without a fault or without facts has no problems', () => {
    assert.deepEqual(found({}), []);
    const well = {
      ...disk(20 * GIB, 100 * GIB),
      database: { tookMs: 3 },
      certificateUntilMs: NOW_MS + 30 * DAY_MS,
      list: { untilMs: NOW_MS + 5 * DAY_MS },
    };
    assert.deepEqual(found(well), []);
  });

  test('a full disk and an almost full disk are named, a small disk with room is not', () => {
    assert.deepEqual(found(disk(10 * MIB, 100 * GIB)), [
      'disk bad: the disk of /var is full: 10 MiB of 100 GiB are free',
    ]);
    assert.deepEqual(found(disk(900 * MIB, 100 * GIB)), [
      'disk warn: the disk of /var is almost full: 900 MiB of 100 GiB are free',
    ]);
    assert.deepEqual(found(disk(900 * MIB, 2 * GIB)), []);
  });

  test('a slow or silent database is named', () => {
    assert.deepEqual(found({ database: { tookMs: 2500 } }), [
      'database warn: the database is slow: one answer took 2.5 s',
    ]);
    assert.deepEqual(found({ database: { problem: 'the database x cannot be used' } }), [
      'database bad: the database x cannot be used',
    ]);
    const long = found({ database: { problem: 'x'.repeat(5000) } });
    assert.ok((long[0]?.length ?? 0) < 600);
  });

  test('a certificate and a fleet list that expire soon or have expired are named', () => {
    assert.match(
      found({ certificateUntilMs: NOW_MS + 2.5 * DAY_MS }).join(),
      /^certificate warn: .* expires in 2 days$/,
    );
    assert.match(
      found({ certificateUntilMs: NOW_MS - 3 * DAY_MS }).join(),
      /^certificate bad: .* expired 3 days ago/,
    );
    assert.match(
      found({ list: { untilMs: NOW_MS + HOUR_MS } }).join(),
      /^fleet-list warn: .* expires in 1 h/,
    );
    assert.match(
      found({ list: { untilMs: NOW_MS - HOUR_MS } }).join(),
      /^fleet-list bad: .* expired 1 h .*operators and viewers are refused$/,
    );
    assert.match(found({ list: { problem: 'it is damaged' } }).join(), /^fleet-list bad: it is/);
  });
});
