import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { chanceOf, chances } from '../../faults/chance.ts';
import type { CellObservation } from '../../faults/judge.ts';
import { median, recoveryMs } from '../../faults/recovery.ts';
import { bothRan, longestDarkMs, runsAgainAt, spans } from '../../faults/timeline.ts';

describe('the timeline of a guest', () => {
  const marks = [
    { host: 'a', atMs: 0, runs: true },
    { host: 'a', atMs: 100, runs: false },
    { host: 'b', atMs: 140, runs: true },
  ];

  test('the timeline of a guest consists of the running spans of each copy', () => {
    assert.deepEqual(spans(marks, 500), [
      { host: 'a', fromMs: 0, toMs: 100 },
      { host: 'b', fromMs: 140, toMs: 500 },
    ]);
    assert.equal(longestDarkMs(spans(marks, 500), 0, 500), 40);
    assert.equal(bothRan(spans(marks, 500)), undefined);
  });

  test('the downtime includes the time before the first and after the last copy ran', () => {
    assert.equal(longestDarkMs([{ host: 'a', fromMs: 30, toMs: 60 }], 0, 100), 40);
    assert.equal(longestDarkMs([], 0, 100), 100);
  });

  test('the timeline reports when a copy ran again', () => {
    assert.equal(runsAgainAt(spans(marks, 500), 50), 50);
    assert.equal(runsAgainAt(spans(marks, 500), 110), 140);
    assert.equal(runsAgainAt(spans(marks, 500), 600), undefined);
  });

  test('the timeline finds any overlap of two hosts, whatever the order of the marks', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.integer({ min: 2, max: 1000 }), (from, overlap) => {
        const found = spans(
          [
            { host: 'b', atMs: from, runs: true },
            { host: 'a', atMs: from + overlap, runs: false },
            { host: 'a', atMs: -1, runs: true },
          ],
          from + 2000,
        );
        assert.equal(bothRan(found)?.toMs, from + overlap);
      }),
    );
  });
});

describe('the time of recovery', () => {
  const seen: CellObservation = {
    from: 'a',
    to: 'b',
    struck: 'x',
    startedAtMs: 0,
    struckAtMs: 1000,
    clearedAtMs: 6000,
    endedAtMs: 9000,
    outcome: 'done',
    error: undefined,
    spans: [
      { host: 'a', fromMs: 0, toMs: 8000 },
      { host: 'b', fromMs: 8050, toMs: 9000 },
    ],
    runningOn: ['b'],
    memory: 'intact',
    connectionKept: true,
    remains: [],
    disks: [],
  };
  const signs = { sourceJournal: [500, 6700], destinationJournal: [6100], traffic: [900, 6300] };
  const cell = { fault: 'link-dark-5s', phase: 'first-round', mode: 'precopy' } as const;

  test('the time of recovery runs from the end of the fault to the first sign of it', () => {
    assert.equal(recoveryMs(cell, seen, signs), 300);
    assert.equal(recoveryMs({ ...cell, fault: 'kill-source-mover' }, seen, signs), 700);
    assert.equal(recoveryMs({ ...cell, fault: 'freeze-destination-mover' }, seen, signs), 100);
    assert.equal(recoveryMs({ ...cell, phase: 'cleanup' }, seen, signs), 100);
  });

  test('the time of recovery ends with the migration at the latest, and not before a copy runs', () => {
    const none = { sourceJournal: [], destinationJournal: [], traffic: [] };
    assert.equal(recoveryMs(cell, seen, none), 3000);
    const late = { ...seen, spans: [{ host: 'b', fromMs: 7500, toMs: 9000 }] };
    assert.equal(recoveryMs(cell, late, signs), 1500);
    assert.equal(recoveryMs(cell, { ...seen, runningOn: [] }, signs), undefined);
  });

  test('the time of recovery has a median', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 3, 2]), 2.5);
    assert.equal(median([]), undefined);
  });
});

describe('pseudorandom numbers', () => {
  test('the pseudorandom number depends only on the seed and the name, and is between 0 and 1', () => {
    assert.equal(chanceOf(7, 'x'), chanceOf(7, 'x'));
    assert.notEqual(chanceOf(7, 'x'), chanceOf(8, 'x'));
    fc.assert(
      fc.property(fc.nat(), fc.string(), (seed, name) => {
        const chance = chanceOf(seed, name);
        assert.ok(chance >= 0 && chance < 1);
      }),
    );
    const next = chances(1, 'y');
    assert.notEqual(next(), next());
  });
});
