import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  allCells,
  cellId,
  containerCells,
  DISK_FAULTS,
  DISK_MODES,
  DISK_PHASES,
  FAULTS,
  hasDisks,
  isContainer,
  losesPower,
  LASTS_MS,
  MODES,
  PHASES,
  powerCells,
  type Cell,
} from '../../faults/cell.ts';
import { paceOf } from '../../faults/pace.ts';
import { row, rows } from '../../faults/table.ts';

const expected = (cell: Cell): Extract<ReturnType<typeof row>, { run: true }>['expect'] => {
  const found = row(cell);
  assert.ok(found.run, `${cellId(cell)} is not run`);
  return found.expect;
};

describe('the table of the fault matrix', () => {
  test('every combination has one row, and one that is skipped has its reason', () => {
    const plain = FAULTS.length * PHASES.length * MODES.length;
    const withDisks = DISK_FAULTS.length * DISK_PHASES.length * DISK_MODES.length;
    assert.equal(rows().length, plain + withDisks + containerCells().length + powerCells().length);
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
      .filter(({ run, cell }) => run && !hasDisks(cell) && !isContainer(cell) && !losesPower(cell))
      .reduce((sum, { cell }) => sum + 8500 + LASTS_MS[cell.fault], 0);
    assert.ok(ms < 3_600_000, `${Math.round(ms / 60_000)} minutes`);
  });

  test('the cells with disks fit into ten minutes at ten seconds a cell and the length of its faults', () => {
    const played = rows().filter(({ run, cell }) => run && hasDisks(cell));
    const ms = played.reduce((sum, { cell }) => sum + 10_000 + LASTS_MS[cell.fault], 0);
    assert.ok(ms < 600_000, `${Math.round(ms / 60_000)} minutes`);
  });

  test('every fault of disks is tried, at all moments of pre-copy and the last ones of post-copy', () => {
    const tried = rows().filter(({ run, cell }) => run && hasDisks(cell));
    assert.deepEqual(new Set(tried.map(({ cell }) => cell.fault)), new Set(DISK_FAULTS));
    const inMode = (mode: string): Set<string> =>
      new Set(tried.filter(({ cell }) => cell.mode === mode).map(({ cell }) => cell.phase));
    assert.deepEqual(inMode('precopy'), new Set(DISK_PHASES));
    assert.deepEqual(inMode('postcopy'), new Set(['disks-ready', 'disks-switch']));
  });

  test('a destination without room rolls the migration back as long as room is needed', () => {
    for (const phase of ['seeding', 'disks-first-pass'] as const) {
      const { outcomes, guest } = expected({ fault: 'storage-full', phase, mode: 'precopy' });
      assert.deepEqual([outcomes, guest], [['failed'], 'lives']);
    }
  });

  test('no cell may end as held: no fault of the matrix makes the other host permanently unreachable', () => {
    for (const each of rows()) {
      if (!each.run || losesPower(each.cell)) continue;
      assert.ok(!each.expect.outcomes.includes('held'), cellId(each.cell));
    }
  });

  test('a guest may be lost only if it was in the QEMU that was killed', () => {
    for (const each of rows()) {
      if (!each.run || each.expect.guest === 'lives' || losesPower(each.cell)) continue;
      assert.match(each.cell.fault, isContainer(each.cell) ? /(container|source-criu)$/ : /qemu$/);
    }
    const early = {
      fault: 'kill-destination-qemu',
      phase: 'first-round',
      mode: 'precopy',
    } as const;
    assert.deepEqual(expected(early).outcomes, ['failed']);
    assert.equal(expected(early).guest, 'lives');
  });

  test('every fault of movers, agents and links after the commit ends with a finished move', () => {
    for (const each of rows()) {
      if (!each.run || each.cell.fault.endsWith('qemu') || losesPower(each.cell)) continue;
      if (each.cell.phase !== 'after-commit' && each.cell.phase !== 'cleanup') continue;
      assert.deepEqual(each.expect.outcomes, ['done'], cellId(each.cell));
    }
  });

  test("a fault before the switch has a limit for the guest's pause", () => {
    const cell = { fault: 'link-dark-5s', phase: 'first-round', mode: 'precopy' } as const;
    assert.ok((expected(cell).darkMs ?? Infinity) <= 6000);
  });

  test("rounds that must last are paced below the guest's dirty rate, until the fault has struck", () => {
    const cell = { fault: 'link-reset', phase: 'later-round', mode: 'precopy' } as const;
    const { maxBandwidth, dirtyBytesPerSecond } = paceOf(cell);
    assert.ok(dirtyBytesPerSecond > maxBandwidth);
  });
});
