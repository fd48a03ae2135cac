import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cell } from '../../../faults/cell.ts';
import { judgePower, type PowerObserved } from '../../../faults/power/judge.ts';
import { expectationOf } from '../../../faults/power/table.ts';

const CELL: Cell = { fault: 'power-source', phase: 'switchover', mode: 'cold' };
const RECOVERED: PowerObserved = {
  from: 'a',
  to: 'b',
  struck: 'the power of a was cut',
  startedAtMs: 0,
  struckAtMs: 1000,
  clearedAtMs: 20_000,
  endedAtMs: 21_000,
  outcome: 'failed',
  error: undefined,
  spans: [
    { host: 'a', fromMs: 0, toMs: 1000 },
    { host: 'c', fromMs: 12_000, toMs: 30_000 },
  ],
  runningOn: ['c'],
  memory: 'intact',
  connectionKept: undefined,
  remains: [],
  disks: [],
  attempts: [{ host: 'c', id: 'm-recover1', outcome: 'done' }],
  open: [],
  ranOn: new Set(['a', 'c']),
};
const judged = (seen: Partial<PowerObserved>, cell = CELL): string[] =>
  judgePower(cell, expectationOf(cell), { ...RECOVERED, ...seen });

describe('the judge of a loss of power', () => {
  test('a guest that exactly one other host recovered is correct', () => {
    assert.deepEqual(judged({}), []);
  });

  test('a source that starts its guest again next to the recovered copy is found by the spans', () => {
    const spans = [...RECOVERED.spans, { host: 'a', fromMs: 23_000, toMs: 30_000 }];
    const found = judged({ spans, runningOn: ['a', 'c'] });
    assert.match(found.join('\n'), /TWO COPIES RAN: [ac] and [ac]/);
  });

  test('a guest that no host recovered is a problem, and so is a false report', () => {
    const nowhere = { runningOn: [], attempts: [], memory: undefined, ranOn: new Set(['a']) };
    assert.match(judged(nowhere).join(), /no host has recovered the guest/);
    assert.match(judged({ outcome: 'done' }).join(), /reported as done, and never ran at b/);
    assert.match(judged({ runningOn: ['b'] }).join(), /recovered at c, and it runs on b/);
    const silent = judged({ attempts: [], runningOn: ['c'] });
    assert.match(silent.join(), /has run at c, and no recovery reports it/);
  });

  test('an open end of a recovery or of the migration is a problem', () => {
    assert.match(judged({ open: ['m-1 at b, undoing'] }).join(), /has not ended: m-1 at b/);
    assert.match(judged({ outcome: 'held' }).join(), /ended as held/);
  });

  test('a guest whose host answers must not be recovered', () => {
    const cell: Cell = { fault: 'power-destination', phase: 'first-round', mode: 'precopy' };
    assert.match(judged({}, cell).join(), /recovered at c while its host answered/);
  });
});
