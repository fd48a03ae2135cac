import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { corePlan, mayBegin, restPlan, type E2eTable } from '../tools/test-plan.ts';
import { E2E, LANES, UNIT_SECONDS } from '../tools/test-times.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `test/e2e/${name}.e2e.ts`);
const FOLDERS = ['src/wire/', 'src/disks/', 'src/network/'];

const table: fc.Arbitrary<E2eTable> = fc
  .array(
    fc.record({
      seconds: fc.integer({ min: 1, max: 100 }),
      core: fc.boolean(),
      of: fc.subarray(FOLDERS),
    }),
    { minLength: 1, maxLength: NAMES.length },
  )
  .map((rows) => Object.fromEntries(rows.map((row, index) => [NAMES[index] ?? '', row])));
const facts = fc.record({
  budgetS: fc.integer({ min: 0, max: 600 }),
  changed: fc.array(fc.constantFrom('src/wire/open.ts', 'src/disks/a.ts', 'docs/x.md', ...NAMES)),
  turn: fc.nat(),
});

const secondsOf = (rows: E2eTable, files: readonly string[]): number =>
  files.reduce((sum, file) => sum + (rows[file]?.seconds ?? 0), 0);

describe('the plan of the end-to-end tests', () => {
  test('the plan of end-to-end tests runs each file in the core or in the rest, or names it as skipped', () => {
    fc.assert(
      fc.property(table, facts, (rows, given) => {
        const core = corePlan(rows);
        const rest = restPlan(given, rows);
        const all = [...core.files, ...rest.files, ...rest.leftOut.map(({ file }) => file)];
        assert.deepEqual(all.toSorted(), Object.keys(rows).toSorted());
        const later = [...rest.files, ...rest.leftOut.map(({ file }) => file)].toSorted();
        assert.deepEqual(core.leftOut.map(({ file }) => file).toSorted(), later);
      }),
    );
  });

  test('the plan runs no more of the rest than there is time for', () => {
    fc.assert(
      fc.property(table, facts, (rows, given) => {
        assert.ok(secondsOf(rows, restPlan(given, rows).files) <= given.budgetS);
      }),
    );
  });

  test('the plan skips tests of a change only if tests of other changes took the time', () => {
    fc.assert(
      fc.property(table, facts, (rows, given) => {
        const { files, leftOut } = restPlan(given, rows);
        const touches = (file: string): boolean =>
          given.changed.includes(file) ||
          (rows[file]?.of ?? []).some((folder) =>
            given.changed.some((each) => each.startsWith(folder)),
          );
        const left = given.budgetS - secondsOf(rows, files.filter(touches));
        for (const { file } of leftOut.filter((each) => touches(each.file))) {
          assert.ok(secondsOf(rows, [file]) > left, file);
        }
      }),
    );
  });

  test('the plan gives every file its turn if there is time for one at a time', () => {
    fc.assert(
      fc.property(table, (rows) => {
        const rest = corePlan(rows).leftOut.map(({ file }) => file);
        const budgetS = Math.max(0, ...rest.map((file) => secondsOf(rows, [file])));
        const seen = new Set(
          rest.flatMap((_, turn) => restPlan({ budgetS, changed: [], turn }, rows).files),
        );
        for (const file of rest) assert.ok(seen.has(file), file);
      }),
    );
  });

  test('the plan starts no file that would not end in time here, and every file without a limit', () => {
    const ended = fc.array(
      fc.record({ name: fc.constantFrom(...NAMES), seconds: fc.integer({ min: 1, max: 500 }) }),
    );
    fc.assert(
      fc.property(table, ended, fc.integer({ min: -10, max: 500 }), (rows, before, leftS) => {
        for (const file of Object.keys(rows)) {
          assert.ok(mayBegin(file, Infinity, before, rows));
          const begins = mayBegin(file, leftS, before, rows);
          assert.ok(!begins || secondsOf(rows, [file]) <= leftS, 'not even on a fast machine');
          const twice = before.map(({ name }) => ({ name, seconds: 2 * secondsOf(rows, [name]) }));
          const known = twice.some(({ seconds }) => seconds > 0);
          const slow = mayBegin(file, leftS, twice, rows);
          assert.equal(slow, (known ? 2 : 1) * secondsOf(rows, [file]) <= leftS);
        }
      }),
    );
  });

  test('the plan contains every end-to-end file of this repository, and no other', () => {
    assert.deepEqual(Object.keys(E2E).toSorted(), globSync('test/**/*.e2e.ts').toSorted());
  });

  // Ten minutes are the aim; a whole run on 28 November 2026 took these times.
  test('the plan has a core that takes at most seventeen minutes, by the measured times', () => {
    const seconds = UNIT_SECONDS + secondsOf(E2E, corePlan().files) / LANES;
    assert.ok(seconds <= 17 * 60, `${seconds} s`);
  });

  test('the plan names existing folders', () => {
    const folders = Object.values(E2E).flatMap(({ of = [] }) => of);
    for (const folder of folders) {
      assert.ok(folder.endsWith('/') && globSync(`${folder}**/*`).length > 0, folder);
    }
  });
});
