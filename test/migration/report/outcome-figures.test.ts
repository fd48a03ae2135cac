import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cameTo, clientGapMs, rehearsedTo } from '../../../src/migration/report/outcome-figures.ts';
import type { Report } from '../../../src/protocol/public/migration.ts';
import { prediction as answer } from '../../../src/protocol/public/prediction.ts';
import { report } from '../../cli/fake.ts';
import { plannedTo } from '../../cli/planned-move.ts';

test('a finished migration has its figures, and unmeasured ones are absent', () => {
  const { vantages: _vantages, ...unseen } = report();
  const { clientGapMs: gap, ...came } = cameTo(unseen);
  assert.equal(gap, undefined);
  assert.deepEqual(came, {
    bytes: 600 * 1024 * 1024,
    totalMs: 5000,
    memoryMs: 4300,
    rounds: 3,
    downtimeMs: 42,
  });
});

test('copies of disks have their phase and sent bytes; the total is known if it was predicted', () => {
  const diskLink = {
    sentBytes: 700,
    receivedBytes: 1,
    linkBytes: 900,
    cuts: 0,
    longestCutMs: 0,
    sessions: 1,
  };
  const made = report();
  const phases = [{ phase: 'disks' as const, ms: 3000 }, ...made.phases];
  const copied = { ...made, phases, diskLink };
  const { diskMs, diskBytes, totalMs } = cameTo(copied);
  assert.deepEqual([diskMs, diskBytes, totalMs], [3000, 700, undefined]);
  const range = { low: 1, middle: 2, high: 3 };
  const said = answer.parse(plannedTo('b').prediction);
  assert.equal(cameTo({ ...copied, prediction: said }).totalMs, undefined);
  const prediction = { ...said, disks: { ms: range, bytes: range } };
  assert.equal(cameTo({ ...copied, prediction }).totalMs, 5000);
});

test('a failed migration has none of the predicted figures', () => {
  assert.deepEqual(cameTo(report({ outcome: 'failed' })), {});
});

test('a rehearsal has the bytes sent before a pre-copy switch, and no switch', () => {
  const rehearsed = (switches: 'precopy' | 'postcopy') =>
    report({ outcome: 'rehearsed', rehearsal: { switches, maxDowntimeMs: 100 } });
  const figures = { bytes: 600 * 1024 * 1024, rounds: 3, memoryMs: 4300 };
  assert.deepEqual(rehearsedTo(rehearsed('precopy')), figures);
  assert.deepEqual(rehearsedTo(rehearsed('postcopy')), {});
  assert.deepEqual(rehearsedTo(report()), {});
  assert.deepEqual(cameTo(rehearsed('precopy')), {}, 'nothing is learned from it');
});

test("a client's wait is compared with the predicted gap at the switch, as far as a host saw the guest", () => {
  const of = (...vantages: NonNullable<Report['vantages']>) =>
    cameTo(report({ vantages })).clientGapMs;
  assert.equal(of({ host: 'c', gapMs: 900, switchGapMs: 60 }, { host: 'd', gapMs: 70 }), 70);
  assert.equal(of({ host: 'c', gapMs: 90, ownStallMs: 95 }), undefined);
  assert.equal(of({ host: 'c', gapMs: 90, isOpen: true }), undefined);
  assert.equal(of({ host: 'e', notTried: 'no address' }), undefined);
});

test('the client gap is the longest that any host saw', () => {
  const vantages = [{ host: 'c', gapMs: 40 }, { host: 'd', gapMs: 90 }, { host: 'e' }];
  assert.equal(clientGapMs({ vantages }), 90);
  assert.equal(clientGapMs({ vantages: [{ host: 'e', notTried: 'no address' }] }), undefined);
});
