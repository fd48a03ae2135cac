import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RIGHTSIZE, rightsize } from '../../src/planner/rightsize.ts';
import { GIB, guest, host, inventories } from './inventories.ts';

const day = (cores: number): number[] => Array.from({ length: 288 }, () => cores);
const proposals = (more: Parameters<typeof guest>[2]) =>
  rightsize({ hosts: [host('a')], guests: [guest('g', 'a', { cpu: 8, demand: day(4), ...more })] });

test('a guest that uses little of its processors gets a lower proposal, with the figures', () => {
  const [proposal] = proposals({ demand: day(1) });
  assert.deepEqual(proposal?.cpu, { now: 8, proposed: 2 });
  assert.match(
    proposal?.words ?? '',
    /^g uses at most 13 % of its processor in 99 % of 288 samples/,
  );
});

test('a guest that is busy, peaks, or is little known gets no proposal', () => {
  assert.deepEqual(proposals({}), []);
  assert.deepEqual(proposals({ demand: [...day(1).slice(10), ...day(8).slice(0, 10)] }), []);
  assert.deepEqual(proposals({ demand: day(1).slice(1) }), []);
  assert.deepEqual(proposals({ demand: [...day(1), Number.NaN] }), []);
});

test('memory is proposed by its use plus half', () => {
  const [proposal] = proposals({ memoryBytes: 16 * GIB, usedBytes: 2 * GIB });
  assert.deepEqual(proposal?.memoryBytes, { now: 16 * GIB, proposed: 3 * GIB });
  assert.equal(proposal?.cpu, undefined);
});

test("no proposal exceeds a guest's size, or is below its use at nearly all samples", () => {
  fc.assert(
    fc.property(inventories, (inventory) => {
      const options = { ...RIGHTSIZE, leastSamples: 1, step: 0.25 };
      for (const { guest: name, cpu } of rightsize(inventory, options)) {
        const found = inventory.guests.find((each) => each.name === name);
        if (cpu === undefined || found === undefined) continue;
        assert.ok(cpu.proposed < found.cpu);
        assert.ok(
          found.demand.filter((each) => each > cpu.proposed).length <= found.demand.length * 0.01,
        );
      }
    }),
  );
});
