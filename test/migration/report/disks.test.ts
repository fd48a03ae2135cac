import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { worthReporting } from '../../../src/migration/report/disks.ts';
import { godwitError } from '../../../src/errors.ts';
import type { DiskProgress } from '../../../src/protocol/disk.ts';
import { driveUntil, settle } from '../direct/drive.ts';
import { assertSourceRuns, isDoing } from '../direct/endings.ts';
import { planned } from '../direct/samples.ts';
import { World } from '../direct/world.ts';

const at = (copiedBytes: number, state: DiskProgress['state'] = 'copying'): DiskProgress => ({
  node: 'disk0',
  state,
  copiedBytes,
  totalBytes: 10_000,
});

describe('the progress of copies', () => {
  test('the progress of copies is reported when a copy begins, changes its state or advances enough', () => {
    assert.equal(worthReporting([], [at(0)]), true);
    assert.equal(worthReporting([at(0)], [at(0, 'broken')]), true);
    assert.equal(worthReporting([at(0)], [at(200)]), true);
    assert.equal(worthReporting([at(0)], [{ ...at(0), node: 'disk1' }]), true);
  });

  test('the progress of copies is not reported while nothing has changed', () => {
    assert.equal(worthReporting([at(5000)], [at(5000)]), false);
    assert.equal(worthReporting([], []), false);
  });

  test('a steady copy makes a bounded number of records, however often it is checked', () => {
    const looks = fc.array(fc.nat(10_000), { maxLength: 2000 });
    fc.assert(
      fc.property(looks, (found) => {
        let reported: DiskProgress[] = [];
        let records = 0;
        for (const copied of found.toSorted((left, right) => left - right)) {
          if (!worthReporting(reported, [at(copied)])) continue;
          reported = [at(copied)];
          records += 1;
        }
        assert.ok(records <= 51, `${records} records`);
      }),
    );
  });

  test('the progress of a disk without anything to copy is reported once', () => {
    const empty: DiskProgress = { node: 'disk0', state: 'ready', copiedBytes: 0, totalBytes: 0 };
    assert.equal(worthReporting([empty], [empty]), false);
  });
});

describe('disks that the hosts do not share', () => {
  test('unshared disks are copied before memory moves; without any the step is omitted', () => {
    for (const copies of [true, false]) {
      const world = new World(planned(), copies);
      driveUntil(world, isDoing('memory'));
      assert.equal(world.mirroring, copies);
      const did = world.journal.flatMap((event) => (event.type === 'did' ? [event.step] : []));
      assert.equal(did.includes('mirror'), copies);
    }
  });

  test('unshared disks that were incomplete at the switch leave the guest at its source', () => {
    const world = new World(planned(), true);
    driveUntil(world, isDoing('switchover'));
    const facts = { guest: 'web1', device: 'disk0', reason: 'its target is full' };
    world.answer('before', godwitError('GODWIT_DISK_FAILED', facts).toJSON());
    settle(world);
    assert.equal(world.outcome, 'failed');
    assertSourceRuns(world);
  });
});
