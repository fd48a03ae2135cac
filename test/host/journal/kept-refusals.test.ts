import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { addRefusals, keepRefused, readRefused } from '../../../src/host/journal/kept-refusals.ts';
import { Refusals } from '../../../src/rpc/refusals.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const code = 'GODWIT_DESCRIPTION_REFUSED';

test("a mover's refusals are read by its agent, and counted on by the next mover", async (t) => {
  const dir = tempDir(t);
  assert.deepEqual(readRefused(dir), []);
  for (let mover = 1; mover <= 2; mover += 1) {
    const refusals = new Refusals();
    keepRefused(dir, refusals);
    refusals.note({ peer: 'c (agent)', code, message: 'the part options.0' });
    refusals.note({ peer: 'c (agent)', code: 'GODWIT_GUEST_UNKNOWN', message: 'no trust in it' });
    await setImmediate();
    const [found, ...others] = readRefused(dir);
    assert.deepEqual(others, []);
    assert.deepEqual(
      [found?.peer, found?.code, found?.count, found?.message],
      ['c (agent)', code, mover, 'the part options.0'],
    );
  }
});

test('a file that is damaged counts for nothing', (t) => {
  const dir = tempDir(t);
  for (const text of ['', '{', '[{"peer":1}]', '{"peer":"c"}']) {
    writeFileSync(path.join(dir, 'refused.json'), text);
    assert.deepEqual(readRefused(dir), []);
  }
});

test('lists are added up for each peer and kind, with the last refused first', () => {
  const one = fc.record({
    peer: fc.constantFrom('a', 'b'),
    code: fc.constantFrom('x', 'y'),
    count: fc.integer({ min: 1, max: 9 }),
    message: fc.string({ maxLength: 5 }),
    at: fc.constantFrom('1', '2', '3'),
  });
  fc.assert(
    fc.property(fc.array(fc.array(one, { maxLength: 6 }), { maxLength: 4 }), (lists) => {
      const sum = (all: readonly { count: number }[]) => all.reduce((n, each) => n + each.count, 0);
      const added = addRefusals(lists);
      assert.equal(sum(added), sum(lists.flat()));
      assert.equal(new Set(added.map((each) => each.code + each.peer)).size, added.length);
      assert.deepEqual(
        added.map(({ at }) => at),
        added
          .map(({ at }) => at)
          .toSorted()
          .toReversed(),
      );
    }),
  );
});
