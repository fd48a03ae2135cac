import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { kindOf } from '../../hostile/cases/plan.ts';
import type { Kind } from '../../hostile/cases/plan.ts';
import { HOLES } from '../../hostile/holes/holes.ts';
import { runCases } from '../../hostile/run.ts';

const SEED = 1;

/** For each known defect: the kinds of cases, how many of them, and what is to be told. */
const FOUND: Readonly<Record<string, readonly [Kind, number, RegExp]>> = {
  roles: ['agent', 20, /did for a host what is for operator/],
  strangers: ['foreign', 6, /answered for another host’s migration/],
  remains: ['memory', 1, /a: processes, ports, files was/],
  properties: ['grammar', 25, /traps\/.*nobody has business there|outside of what is read/],
  epochs: ['mover', 12, /took an epoch that is not the migration’s/],
};

function numbersOf(kind: Kind, count: number): number[] {
  const numbers: number[] = [];
  for (let number = 0; numbers.length < count; number += 1) {
    if (kindOf(SEED, number) === kind) numbers.push(number);
  }
  return numbers;
}

describe('a known defect of the attacked host is found', () => {
  test('whichever it is', () => {
    assert.deepEqual(Object.keys(FOUND).toSorted(), Object.keys(HOLES).toSorted());
  });

  for (const [hole, [kind, count, told]] of Object.entries(FOUND)) {
    test(HOLES[hole]?.what ?? hole, async () => {
      const numbers = numbersOf(kind, count);
      const { violations } = await runCases({ seed: SEED, numbers, hole, settleMs: 5000 });
      const lines = violations.map(({ number, what }) => `case ${number ?? '?'}: ${what}`);
      assert.ok(
        lines.some((line) => told.test(line)),
        `not found; told was:\n${lines.slice(0, 10).join('\n')}`,
      );
    });
  }
});
