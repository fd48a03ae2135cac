import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allCells, cellId, FAULTS, LASTS_MS, MODES, PHASES } from '../../faults/cell.ts';
import type { Cell } from '../../faults/cell.ts';
import { paceOf } from '../../faults/pace.ts';
import { row, rows } from '../../faults/table.ts';

const expected = (cell: Cell): Extract<ReturnType<typeof row>, { run: true }>['expect'] => {
  const found = row(cell);
  assert.ok(found.run, `${cellId(cell)} is not run`);
  return found.expect;
};

describe('the table of the fault matrix', () => {
  test('every combination has one row, and one that is not run has its reason', () => {
    assert.equal(rows().length, FAULTS.length * PHASES.length * MODES.length);
    assert.equal(new Set(allCells().map(cellId)).size, rows().length);
    for (const each of rows()) {
      if (!each.run) assert.ok(each.why.length > 10, cellId(each.cell));
    }
  });

  test('every fault is tried in pre-copy and in post-copy', () => {
    for (const fault of FAULTS) {
      for (const mode of ['precopy', 'postcopy'] as const) {
        const tried = rows().some(({ run, cell }) => {
          return run && cell.fault === fault && cell.mode === mode;
        });
        assert.ok(tried, `${fault} in ${mode}`);
      }
    }
  });

  test('the whole matrix fits into an hour at ten seconds a cell and the length of its faults', () => {
    const ms = rows()
      .filter(({ run }) => run)
      .reduce((sum, { cell }) => sum + 8500 + LASTS_MS[cell.fault], 0);
    assert.ok(ms < 3_600_000, `${Math.round(ms / 60_000)} minutes`);
  });

  test('no cell may end as held: no fault of the matrix keeps the other host out of reach for good', () => {
    for (const each of rows()) {
      if (each.run) assert.ok(!each.expect.outcomes.includes('held'), cellId(each.cell));
    }
  });

  test('a guest may be lost only where the QEMU that was killed held it', () => {
    for (const each of rows()) {
      if (!each.run || each.expect.guest === 'lives') continue;
      assert.match(each.cell.fault, /qemu$/);
    }
    const early = {
      fault: 'kill-destination-qemu',
      phase: 'first-round',
      mode: 'precopy',
    } as const;
    assert.deepEqual(expected(early).outcomes, ['failed']);
    assert.equal(expected(early).guest, 'lives');
  });

  test('after the commit every fault of movers, agents and links goes forward', () => {
    for (const each of rows()) {
      if (!each.run || each.cell.fault.endsWith('qemu')) continue;
      if (each.cell.phase !== 'after-commit' && each.cell.phase !== 'cleanup') continue;
      assert.deepEqual(each.expect.outcomes, ['done'], cellId(each.cell));
    }
  });

  test('a fault before the switch has a limit to how long the guest may stand still', () => {
    const cell = { fault: 'link-dark-5s', phase: 'first-round', mode: 'precopy' } as const;
    assert.ok((expected(cell).darkMs ?? Infinity) <= 6000);
  });

  test('rounds that are to last are paced below what the guest dirties, until the fault has struck', () => {
    const cell = { fault: 'link-reset', phase: 'later-round', mode: 'precopy' } as const;
    const { maxBandwidth, dirtyBytesPerSecond } = paceOf(cell);
    assert.ok(dirtyBytesPerSecond > maxBandwidth);
  });
});
