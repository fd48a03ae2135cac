import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  cellId,
  CONTAINER_FAULTS,
  CONTAINER_PHASES,
  containerCells,
  isBefore,
  isContainer,
  LASTS_MS,
} from '../../../faults/cell.ts';
import { row } from '../../../faults/table.ts';

const played = containerCells().flatMap((cell) => {
  const found = row(cell);
  return found.run ? [found] : [];
});

describe('the cells of containers', () => {
  test('every fault of containers and every moment is tried', () => {
    assert.ok(containerCells().every(isContainer));
    assert.deepEqual(new Set(played.map(({ cell }) => cell.fault)), new Set(CONTAINER_FAULTS));
    assert.deepEqual(new Set(played.map(({ cell }) => cell.phase)), new Set(CONTAINER_PHASES));
  });

  test('movers are killed at every moment, and the container at every moment of its time at the source', () => {
    const moments = (fault: string): Set<string> =>
      new Set(played.filter(({ cell }) => cell.fault === fault).map(({ cell }) => cell.phase));
    for (const fault of ['kill-source-mover', 'kill-destination-mover'])
      assert.deepEqual(moments(fault), new Set(CONTAINER_PHASES), fault);
    const before = CONTAINER_PHASES.filter((phase) => isBefore(phase, 'box-after-commit'));
    assert.deepEqual(moments('kill-source-container'), new Set(before));
  });

  test('no cell may end as held; a container is lost only if it, or CRIU during its work, was killed', () => {
    for (const { cell, expect } of played) {
      assert.ok(!expect.outcomes.includes('held'), cellId(cell));
      if (expect.guest === 'lives') assert.ok(!expect.outcomes.includes('lost'), cellId(cell));
      else assert.match(cell.fault, /(container|source-criu)$/, cellId(cell));
    }
  });

  test('every fault of movers, agents, links and disks after the commit ends with a finished move', () => {
    for (const { cell, expect } of played) {
      if (isBefore(cell.phase, 'box-after-commit') || cell.fault.endsWith('container')) continue;
      assert.deepEqual(expect.outcomes, ['done'], cellId(cell));
    }
  });

  test('a fault while memory follows ends with a finished move, and nothing is lost', () => {
    const following = played.filter(({ cell }) => cell.phase === 'box-following');
    assert.ok(following.length >= 8);
    for (const { cell, expect } of following) {
      assert.equal(cell.mode, 'postcopy');
      if (!cell.fault.endsWith('container')) assert.equal(expect.guest, 'lives', cellId(cell));
    }
  });

  test('all cells of containers fit into thirty-five minutes at half a minute each plus the faults', () => {
    const ms = played.reduce((sum, { cell }) => sum + 30_000 + LASTS_MS[cell.fault], 0);
    assert.ok(ms < 2_100_000, `${played.length} cells, ${Math.round(ms / 60_000)} minutes`);
  });
});
