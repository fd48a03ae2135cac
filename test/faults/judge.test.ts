import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cell } from '../../faults/cell.ts';
import { darkMs, judge, whyNotStruck, type CellObservation } from '../../faults/judge.ts';
import { row } from '../../faults/table.ts';
import type { Expectation } from '../../faults/expectation.ts';

const CELL: Cell = { fault: 'link-reset', phase: 'first-round', mode: 'precopy' };
const DEATH: Cell = { fault: 'kill-source-qemu', phase: 'first-round', mode: 'precopy' };

const MOVED: CellObservation = {
  from: 'a',
  to: 'b',
  struck: '2 connections reset',
  startedAtMs: 0,
  struckAtMs: 1000,
  clearedAtMs: 1000,
  endedAtMs: 5000,
  outcome: 'done',
  error: undefined,
  spans: [
    { host: 'a', fromMs: -100, toMs: 4000 },
    { host: 'b', fromMs: 4050, toMs: 6000 },
  ],
  runningOn: ['b'],
  memory: 'intact',
  connectionKept: true,
  remains: [],
  disks: [],
};
const STAYED: CellObservation = {
  ...MOVED,
  outcome: 'failed',
  error: 'GODWIT_STREAM_FAILED: reset',
  spans: [{ host: 'a', fromMs: -100, toMs: 6000 }],
  runningOn: ['a'],
};
const DIED: CellObservation = {
  ...STAYED,
  spans: [{ host: 'a', fromMs: -100, toMs: 1000 }],
  runningOn: [],
  memory: undefined,
  connectionKept: undefined,
};

function problems(seen: Partial<CellObservation>, base = MOVED, cell = CELL): string {
  return judge(cell, expectation(cell), { ...base, ...seen }).join('; ');
}

function expectation(cell: Cell): Expectation {
  const found = row(cell);
  assert.ok(found.run);
  return found.expect;
}

describe('the judge of a cell', () => {
  test('the judge accepts a guest that arrived, or stayed, complete', () => {
    assert.equal(problems({}), '');
    assert.equal(problems({}, STAYED), '');
  });

  test('the judge finds two copies that ran at once, however briefly', () => {
    const spans = [
      { host: 'a', fromMs: 0, toMs: 4000 },
      { host: 'b', fromMs: 3990, toMs: 6000 },
    ];
    assert.match(problems({ spans }), /TWO COPIES RAN: a and b, for 10 ms/);
    assert.match(problems({ runningOn: ['a', 'b'] }), /TWO COPIES RUN/);
  });

  test('a cell whose fault did not strike is neither green nor red, with the reason', () => {
    const never = { struck: undefined };
    assert.equal(whyNotStruck(never), 'the moment of the fault did not come');
    assert.equal(whyNotStruck({ ...never, missed: 'mount: busy' }), 'mount: busy');
    assert.equal(whyNotStruck(MOVED), undefined);
    // What the fault was to lead to did not come; it is no problem of the migration.
    assert.equal(problems({ ...never, missed: 'it had ended' }, MOVED, DEATH), '');
  });

  test('a cell whose fault did not strike is red if two copies ran or something is left behind', () => {
    const never = { struck: undefined, missed: 'it had ended' };
    assert.match(problems({ ...never, runningOn: ['a', 'b'] }), /^TWO COPIES RUN/);
    assert.equal(problems({ ...never, remains: ['b: tap1'] }), 'left behind: b: tap1');
  });

  test('the judge rejects a report that the witness contradicts', () => {
    assert.match(problems({ runningOn: ['a'] }), /reported as done, and it runs on a/);
    assert.match(problems({ runningOn: ['b'] }, STAYED), /reported as failed, and it runs on b/);
    assert.match(problems({ outcome: 'lost' }), /reported as lost, and it runs on b/);
  });

  test('the judge finds a guest that is lost, changed, or whose client was cut off', () => {
    assert.match(problems({}, DIED), /no copy runs at the end/);
    assert.match(problems({ memory: 'changed' }), /memory is not what it was/);
    const silent = problems({ memory: 'silent' });
    assert.match(silent, /did not read its memory in time/);
    assert.doesNotMatch(silent, /is not what it was$/);
    assert.match(problems({ connectionKept: false }), /connection/);
  });

  test('the judge finds a forbidden end, a missing one, and one that was reported late', () => {
    assert.match(problems({ outcome: 'held', error: 'why' }), /ended as held, not as done.*why/);
    assert.match(problems({ endedAtMs: undefined, outcome: 'running' }), /did not end/);
    assert.match(problems({ endedAtMs: 900_000 }), /reported after/);
  });

  test('the judge finds remains', () => {
    assert.match(problems({ remains: ['b: node mover.ts'] }), /left behind: b: node mover.ts/);
  });

  test('the judge finds a guest that was stopped for a migration that then failed', () => {
    const spans = [
      { host: 'a', fromMs: -100, toMs: 2000 },
      { host: 'a', fromMs: 2300, toMs: 6000 },
    ];
    assert.equal(darkMs({ ...STAYED, spans }), 300);
    assert.match(problems({ spans }, STAYED), /stopped the guest for 300 ms/);
    assert.equal(problems({ spans }, STAYED, { ...CELL, phase: 'switchover' }), '');
  });

  test("a guest's death makes Godwit's report false only if the guest had not arrived", () => {
    const died = { runningOn: [], memory: undefined, connectionKept: undefined };
    const late: Cell = { fault: 'kill-destination-qemu', phase: 'cleanup', mode: 'precopy' };
    assert.equal(problems(died, MOVED, late), '');
    const early: Cell = { fault: 'kill-source-qemu', phase: 'switchover', mode: 'precopy' };
    assert.match(problems(died, MOVED, early), /reported as done, and no copy runs/);
  });

  test("the judge requires that the guest's death is reported, and that nothing runs", () => {
    assert.equal(problems({}, DIED, DEATH), '');
    assert.match(problems({ endedAtMs: 30_000 }, DIED, DEATH), /reported after 29000 ms/);
    assert.match(problems({}, STAYED, DEATH), /runs on a, killed/);
  });
});
