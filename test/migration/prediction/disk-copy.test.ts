import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { bytesToCopy, diskCopyOf, NO_COPY } from '../../../src/migration/prediction/disk-copy.ts';
import type { Facts, CopiedBytes } from '../../../src/migration/prediction/facts.ts';
import { predict } from '../../../src/migration/prediction/predict.ts';
import { NOMINAL } from '../../../src/migration/prediction/scenarios.ts';
import { prediction } from '../../../src/protocol/public/prediction.ts';
import { anyFacts, guest, MIB } from './samples.ts';

const anyDisks: fc.Arbitrary<CopiedBytes> = fc.record({
  bytes: fc.integer({ min: 1, max: 4096 * MIB }),
  writtenBytesPerS: fc.option(fc.integer({ min: 0, max: 2_000_000_000 }), { nil: undefined }),
});
const anyCopy = fc.tuple(anyFacts, anyDisks).map(([facts, disks]) => ({ ...facts, disks }));
const more = fc.double({ min: 1, max: 20, noNaN: true });

const timesLink = (facts: Facts, times: number): Facts => ({
  ...facts,
  ...(facts.link && { link: { ...facts.link, rate: facts.link.rate * times } }),
});

describe("the copy of a guest's disks", () => {
  test("a disk copy takes the link's time for its bytes if the guest writes nothing", () => {
    const { ms, bytes } = diskCopyOf({ ...guest(1), disks: { bytes: 125_000_000 } }, NOMINAL);
    assert.ok(Math.abs(ms - 1000) < 1e-6 && Math.abs(bytes - 125_000_000) < 1e-6);
    const disks = { bytes: 125_000_000 };
    const capped = diskCopyOf({ ...guest(1, { maxBandwidth: 12_500_000 }), disks }, NOMINAL);
    assert.ok(Math.abs(capped.ms - 10_000) < 1e-6);
    assert.deepEqual(diskCopyOf(guest(1), NOMINAL), NO_COPY);
  });

  test('a disk copy takes between one and two times the time of its bytes, whatever the guest writes', () => {
    fc.assert(
      fc.property(anyCopy, (facts) => {
        const still = { ...facts, disks: { bytes: facts.disks.bytes } };
        const [alone, all] = [diskCopyOf(still, NOMINAL), diskCopyOf(facts, NOMINAL)];
        assert.ok(all.ms >= alone.ms && all.ms <= alone.ms * 2 * (1 + 1e-9));
        assert.ok(all.bytes >= alone.bytes && all.bytes <= alone.bytes * 2 * (1 + 1e-9));
      }),
    );
  });

  test('a disk copy is never slower over a faster link, and never sooner with more data or writes', () => {
    fc.assert(
      fc.property(anyCopy, more, (facts, times) => {
        const msOf = (one: Facts) => diskCopyOf(one, NOMINAL).ms * (1 - 1e-9);
        const { ms } = diskCopyOf(facts, NOMINAL);
        const { bytes, writtenBytesPerS = 0 } = facts.disks;
        assert.ok(msOf(timesLink(facts, times)) <= ms);
        assert.ok(
          msOf(facts) <=
            diskCopyOf({ ...facts, disks: { ...facts.disks, bytes: bytes * times } }, NOMINAL).ms,
        );
        const busier = { bytes, writtenBytesPerS: writtenBytesPerS * times };
        assert.ok(msOf(facts) <= diskCopyOf({ ...facts, disks: busier }, NOMINAL).ms);
      }),
    );
  });

  test('the total of a prediction includes the disk copy, and is never slower over a faster link', () => {
    fc.assert(
      fc.property(anyCopy, more, (facts, times) => {
        const settings = { ...facts.settings, timeoutMs: 1e9 };
        const patient = { ...facts, settings };
        const found = prediction.parse(predict(patient));
        const { disks, totalMs } = found;
        assert.ok(disks !== undefined);
        const alone = predict({ ...patient, disks: undefined });
        assert.equal(alone.disks, undefined);
        for (const edge of ['low', 'middle', 'high'] as const) {
          assert.ok(totalMs[edge] >= alone.totalMs[edge] && totalMs[edge] + 1 >= disks.ms[edge]);
          const fat = predict(timesLink(patient, times));
          assert.ok(fat.totalMs[edge] <= totalMs[edge] * (1 + 1e-6) + 1);
          assert.ok((fat.disks?.ms[edge] ?? 0) <= disks.ms[edge] * (1 + 1e-6) + 1);
        }
        const sum = alone.totalMs.middle + disks.ms.middle;
        // Where pre-copy never ends, it goes on until the time is over.
        if (found.converges.probability === 1) assert.ok(Math.abs(totalMs.middle - sum) <= 2);
      }),
    );
  });

  test('a disk copy longer than the whole time limit is predicted not to end, even by post-copy', () => {
    const disks = { bytes: 125_000_000 * 6000 };
    for (const mode of ['precopy', 'postcopy'] as const) {
      const found = predict({ ...guest(1, { mode }), disks });
      assert.equal(found.converges.probability, 0);
      assert.match(
        found.converges.why,
        /copies of its disks take 1 h 40 min, and 10 min 00 s are allowed/,
      );
      assert.equal(found.effects, undefined);
    }
  });

  test('a prediction of any disk size over any link is accepted by the protocol', () => {
    const most = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(anyFacts, most, most, (facts, bytes, writtenBytesPerS) => {
        const link = { rate: 1000, how: 'seen' as const };
        const disks = { bytes, writtenBytesPerS };
        prediction.parse(predict({ ...facts, disks }));
        prediction.parse(predict({ ...facts, link, disks }));
        prediction.parse(predict({ ...facts, link: undefined, disks }));
      }),
    );
  });

  test('a disk copy starts with the allocated size, or the guest-visible size if that is unknown', () => {
    const image = (node: string, allocatedBytes?: number) => {
      const size = allocatedBytes === undefined ? {} : { allocatedBytes };
      return { node, format: 'raw' as const, bytes: 100, readOnly: false, ...size };
    };
    const disks = [
      { name: 'disk0', images: [image('a', 10), image('base', 40)] },
      { name: 'disk1', images: [image('b')] },
    ];
    assert.equal(bytesToCopy(disks, ['a', 'b']), 110);
    assert.equal(bytesToCopy(disks, ['a', 'other']), undefined);
    assert.equal(bytesToCopy(disks, []), 0);
  });
});
