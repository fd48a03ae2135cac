import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { qemuPrograms } from '../../../conformance/qemu-place.ts';
import { contentOf } from './content.ts';
import { MIB, withPair, type DiskPlan } from './pair.ts';

const programs = await qemuPrograms();

describe('disks with limits and copy-on-read', () => {
  for (const { file: program, version } of programs) {
    test(`disks are the same after the copy, with limits and copy-on-read at the destination (${version})`, async () => {
      const plans: DiskPlan[] = [
        { format: 'qcow2', bytes: 64 * MIB, drive: true, filtered: true },
        { format: 'raw', bytes: 64 * MIB, drive: true, filtered: true, unmap: true },
      ];
      await withPair(program, plans, async (pair) => {
        const { source, target, nodes, signal, joint, beside, files } = pair;
        for (const index of plans.keys()) await pair.io(index, 'write -P 0x41 1M 3M');
        await source.start(nodes, joint.near, signal);
        await pair.ready();
        for (const index of plans.keys()) await pair.io(index, 'write -P 0x42 40M 1M');
        await beside.source.execute('stop', {});
        await source.finish(nodes, signal);
        await target.end(signal);
        for (const [index, { format }] of plans.entries()) {
          const [here = '', there = ''] = [files.source[index], files.destination[index]];
          const is = await contentOf(program, there, format);
          assert.equal(is, await contentOf(program, here, format));
        }
        const all = await beside.destination.execute('query-named-block-nodes', { flat: true });
        const drivers = (all as { drv: string }[]).map(({ drv }) => drv);
        assert.equal(drivers.filter((each) => each === 'throttle').length, 2);
        assert.equal(drivers.filter((each) => each === 'copy-on-read').length, 2);
      });
    });
  }
});
