import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { caseOf, kindOf, type Kind } from '../../hostile/cases/plan.ts';
import { HOLES } from '../../hostile/holes/holes.ts';
import { runCases } from '../../hostile/run.ts';
import { factsOf } from '../hostile/facts.ts';

const SEED = 1;

/** A property by which QEMU really opens a file. */
const FILE_PROPERTY = /"(romfile|frudatafile|sdrfile|pcap)":"[./]/;

/** For each known defect: the kind of cases, how many of them, what is to be reported, and what they are to hold. */
const FOUND: Readonly<Record<string, readonly [Kind, number, RegExp, RegExp?]>> = {
  roles: ['agent', 20, /did for a host what is for operator/],
  strangers: ['foreign', 6, /answered for another host’s migration/],
  remains: ['memory', 1, /a: processes, ports, files was/],
  properties: ['grammar', 5, /nobody has business there|outside of|stands by/, FILE_PROPERTY],
  epochs: ['mover', 12, /took an epoch that is not the migration’s/],
};

/** The first cases of a kind; what they will be about is not known yet, but what they do with it is. */
function numbersOf(kind: Kind, count: number, holding = /(?:)/): number[] {
  const numbers: number[] = [];
  for (let number = 0; numbers.length < count; number += 1) {
    if (kindOf(SEED, number) !== kind) continue;
    const { asks } = caseOf(SEED, number, factsOf(), { id: 'm-hx000001', guest: 'hx000001' });
    if (asks.some(({ body = '' }) => holding.test(body))) numbers.push(number);
  }
  return numbers;
}

describe('a known defect of the attacked host is found', () => {
  test('every known defect has a test', () => {
    assert.deepEqual(Object.keys(FOUND).toSorted(), Object.keys(HOLES).toSorted());
  });

  for (const [hole, [kind, count, reported, holding]] of Object.entries(FOUND)) {
    test(HOLES[hole]?.what ?? hole, async () => {
      const numbers = numbersOf(kind, count, holding);
      const { violations } = await runCases({ seed: SEED, numbers, hole, settleMs: 5000 });
      const lines = violations.map(({ number, what }) => `case ${number ?? '?'}: ${what}`);
      assert.ok(
        lines.some((line) => reported.test(line)),
        `not found; what was found:\n${lines.slice(0, 10).join('\n')}`,
      );
    });
  }
});
