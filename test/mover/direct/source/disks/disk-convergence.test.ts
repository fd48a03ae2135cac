import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { DiskSample } from '../../../../../src/port/disks.ts';
import {
  busy,
  DiskConvergence,
  isNearlyWhole,
} from '../../../../../src/mover/direct/source/disks/disk-convergence.ts';
import type { MigrationRun } from '../../../../../src/mover/direct/source/source-base.ts';
import { migrationSettings } from '../../../../../src/protocol/public/migration.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** Looked at each second for `seconds`, while so many bytes/s were copied and written. */
function seen(copiesPerS: number, writesPerS: number, seconds: number): DiskConvergence {
  const convergence = new DiskConvergence();
  for (let second = 0; second <= seconds; second += 1) {
    const copiedBytes = copiesPerS * second;
    const totalBytes = 100 * GIB + writesPerS * second;
    convergence.see([{ node: 'disk0', state: 'copying', copiedBytes, totalBytes }], second * 1000);
  }
  return convergence;
}

describe('the convergence of copies', () => {
  test('the convergence of copies shows when they will be complete, or no time if never', () => {
    const { pace } = seen(100 * MIB, 50 * MIB, 20);
    const etaMs = Math.round(((100 * GIB - 20 * 50 * MIB) * 1000) / (50 * MIB));
    assert.deepEqual(pace, { rate: 100 * MIB, writeRate: 50 * MIB, etaMs });
    assert.deepEqual(seen(50 * MIB, 50 * MIB, 20).pace, { rate: 50 * MIB, writeRate: 50 * MIB });
    assert.equal(seen(50 * MIB, 0, 0).pace, undefined);
  });

  test('the convergence of copies ignores samples from before the links were cut', () => {
    const convergence = seen(50 * MIB, 50 * MIB, 40);
    convergence.forget();
    assert.equal(convergence.pace, undefined);
    assert.deepEqual(convergence.decide(migrationSettings.parse({})), { what: 'continue' });
  });

  test("the convergence of copies slows the guest's writes once, and refuses the guest otherwise", () => {
    const settings = migrationSettings.parse({});
    const convergence = seen(50 * MIB, 50 * MIB, 40);
    assert.equal(convergence.decide(settings).what, 'slow');
    convergence.canSlow = true;
    assert.equal(convergence.decide(settings).what, 'continue');
    convergence.canSlow = false;
    assert.equal(convergence.decide(settings).what, 'refuse');
  });
});

test('a copy is nearly complete when at most 64 MiB are missing', () => {
  const states: DiskSample['state'][] = ['copying', 'ready', 'broken', 'whole', 'failed'];
  const left = fc.oneof(
    fc.integer({ min: 0, max: 128 * MIB }),
    fc.constantFrom(64 * MIB, 64 * MIB + 1),
  );
  fc.assert(
    fc.property(fc.constantFrom(...states), left, (state, leftBytes) => {
      const disk = { node: 'disk0', state, copiedBytes: GIB - leftBytes, totalBytes: GIB };
      assert.equal(isNearlyWhole(disk), state === 'ready' && leftBytes <= 64 * MIB);
    }),
  );
});

test('a guest that is too busy is refused with both rates', () => {
  const context = { request: { request: { guest: 'db1' } } } as unknown as MigrationRun;
  const pace = { writesPerS: 60 * MIB, copiesPerS: 50 * MIB, leftBytes: GIB, overMs: 30_000 };
  const { code, message } = busy(context, pace);
  assert.equal(code, 'GODWIT_DISK_BUSY');
  assert.match(message, /db1.*60 MiB.*50 MiB/);
});
