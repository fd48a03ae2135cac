import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  matchDevices,
  whyNot,
  type Candidate,
} from '../../../../src/drivers/qemu/passthrough/match.ts';
import { anyPassedThrough, hostDevice, VF, VGPU } from './samples.ts';

test('a device that differs is not a counterpart, and the difference is named', () => {
  const why = (change: object, more: object = {}): string | undefined =>
    whyNot(VF, { device: hostDevice({ what: { ...VF, ...change } }), ...more });
  assert.equal(why({}), undefined);
  assert.equal(why({ device: '101d' }), 'is 15b3:101d, not 15b3:101e');
  assert.equal(why({ subsystemDevice: '0001' }), 'is made by 15b3:0001, not by 15b3:0127');
  assert.equal(why({ driver: 'vfio-pci' }), 'is bound to vfio-pci, not to mlx5_vfio_pci');
  assert.equal(why({ vgpuType: '918' }), 'is vGPU type 918, not none');
  assert.equal(why({}, { takenBy: 'process 7' }), 'is taken by process 7');
  const without = { device: hostDevice({ features: ['p2p'] }) };
  assert.match(whyNot(VF, without) ?? '', /cannot load a state/);
  assert.equal(whyNot(VGPU, { device: hostDevice() }), 'is 15b3:101e, not GRID T4-2Q');
});

test('a vGPU is known by the name of its type, whose number changes with its driver', () => {
  const what = { ...VGPU, type: 'nvidia-230' };
  assert.equal(whyNot(VGPU, { device: hostDevice({ what }) }), undefined);
  const other = { ...VGPU, typeName: 'GRID T4-4Q' };
  assert.match(whyNot(VGPU, { device: hostDevice({ what: other }) }) ?? '', /GRID T4-4Q/);
});

test('a host without named devices is reported', () => {
  const { missing } = matchDevices([{ index: 3, what: VF }], []);
  assert.deepEqual(missing, [{ index: 3, why: 'it gives no device to guests that come' }]);
});

const candidate: fc.Arbitrary<Candidate> = fc
  .tuple(anyPassedThrough, fc.boolean(), fc.nat(9))
  .map(([what, free, number]) => ({
    device: hostDevice({ what, name: `0000:3b:00.${number}` }),
    ...(free ? {} : { takenBy: 'process 7' }),
  }));

test('each required device is found once or is missing, and no device of the host serves twice', () => {
  const all = fc.array(candidate, { maxLength: 8 });
  fc.assert(
    fc.property(fc.array(anyPassedThrough, { maxLength: 5 }), all, (whats, candidates) => {
      const wanted = whats.map((what, index) => ({ index, what }));
      const { chosen, missing } = matchDevices(wanted, candidates);
      assert.equal(chosen.size + missing.length, wanted.length);
      assert.equal(new Set(chosen.values()).size, chosen.size);
      for (const [index, device] of chosen) {
        const from = candidates.find((each) => each.device === device);
        assert.ok(from !== undefined && from.takenBy === undefined);
        assert.equal(device.what.driver, whats[index]?.driver);
        assert.equal(device.what.kind, whats[index]?.kind);
      }
      for (const { index, why } of missing) {
        assert.ok(why.length > 0 && why.length < 1000);
        const what = whats[index];
        const left = candidates.filter((each) => ![...chosen.values()].includes(each.device));
        assert.ok(what !== undefined && left.every((each) => whyNot(what, each) !== undefined));
      }
    }),
  );
});
