import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cellId, PHASES, POWER_FAULTS, POWER_MODES, powerCells } from '../../../faults/cell.ts';
import { row } from '../../../faults/table.ts';

const played = powerCells()
  .map(row)
  .filter((each) => each.run);

describe('the cells of a host that loses its power', () => {
  test('each host is tried in every step of cold, pre-copy and post-copy moves', () => {
    for (const fault of POWER_FAULTS) {
      for (const mode of POWER_MODES) {
        const phases = played
          .filter(({ cell }) => cell.fault === fault && cell.mode === mode)
          .map(({ cell }) => cell.phase);
        const withoutRounds = PHASES.filter((phase) => !phase.endsWith('round'));
        assert.deepEqual(phases, mode === 'precopy' ? [...PHASES] : withoutRounds);
      }
    }
  });

  test('a guest survives its source before the commit, since other hosts recover it', () => {
    for (const { cell, expect } of played) {
      if (cell.fault !== 'power-source' || cell.mode === 'postcopy') continue;
      assert.equal(expect.guest, 'lives', cellId(cell));
    }
  });

  test('only a destination that lost its power around the commit may leave the migration held', () => {
    const early = new Set(['checking', 'preparing', 'first-round', 'later-round']);
    for (const { cell, expect } of played) {
      const isSure = cell.fault === 'power-source' || early.has(cell.phase);
      if (isSure) assert.ok(!expect.outcomes.includes('held'), cellId(cell));
    }
  });
});
