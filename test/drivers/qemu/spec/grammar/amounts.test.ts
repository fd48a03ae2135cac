import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { judgeAmounts } from '../../../../../src/drivers/qemu/spec/grammar/amounts.ts';
import type { GuestSpec } from '../../../../../src/drivers/qemu/spec/schema.ts';
import { description } from './descriptions.ts';

const MIB = 1024 ** 2;
const [base] = fc.sample(description, { numRuns: 1, seed: 7 });
assert.ok(base);
const parts = (change: Partial<GuestSpec>, said = { memoryBytes: 512 * MIB, vcpus: 1 }): string[] =>
  judgeAmounts({ ...base, ...change }, said).map(({ path }) => path.join('.'));
const backend = (id: string, size: string | number): GuestSpec['objects'][number] => ({
  type: 'memory-backend-ram',
  id,
  props: { size },
});
const main = backend('mem.0', 512 * MIB);
const dimm = { driver: 'pc-dimm', id: 'dimm0', props: { memdev: 'm1' } };

describe('the host resources of a description', () => {
  test("the required amounts are the guest's reported amounts", () => {
    assert.deepEqual(parts({}), []);
    assert.deepEqual(parts({ objects: [main] }), [], 'the main memory is counted once');
    const more = { memoryBytes: 1024 * MIB, vcpus: 1 };
    assert.deepEqual(parts({ objects: [main, backend('m1', '512M')], devices: [dimm] }, more), []);
  });

  test('a description with more memory is refused, however it is plugged', () => {
    assert.deepEqual(parts({ memory: { bytes: 1024 * MIB } }), ['memory']);
    assert.deepEqual(parts({ objects: [main, backend('m1', '1M')], devices: [dimm] }), ['memory']);
    assert.deepEqual(parts({ objects: [main, backend('m1', '0x100000')] }), ['memory']);
    const mem = { driver: 'virtio-mem-pci', props: { memdev: 'm1', 'requested-size': '64M' } };
    assert.deepEqual(parts({ objects: [main, backend('m1', '8G')], devices: [mem] }), ['memory']);
    const said = { memoryBytes: 576 * MIB, vcpus: 1 };
    assert.deepEqual(parts({ objects: [main, backend('m1', '8G')], devices: [mem] }, said), []);
  });

  test('a size is refused in every form that QEMU reads, and so is one that cannot be computed', () => {
    for (const size of [
      '0.0001P',
      '0.1p',
      '1E',
      '9E',
      '16777215T',
      '999999999999999T',
      '-1',
      '-2',
    ]) {
      assert.deepEqual(parts({ objects: [main, backend('m1', size)], devices: [dimm] }), [
        'memory',
      ]);
      const mem = { driver: 'virtio-mem-pci', props: { memdev: 'm1', 'requested-size': size } };
      assert.deepEqual(parts({ objects: [main, backend('m1', '8G')], devices: [mem] }), ['memory']);
      const vram = { driver: 'bochs-display', props: { vgamem: size } };
      if (size !== '-1') assert.deepEqual(parts({ devices: [vram] }), ['devices']);
    }
  });

  test('memory blocks larger than the memory and any real display are refused', () => {
    const blocks = (...all: number[]) => ({
      ramBlocks: all.map((bytes, index) => ({ name: `block${index}`, bytes })),
    });
    // Displays of which nothing is said have 16 MiB and more.
    assert.deepEqual(parts(blocks(512 * MIB, ...Array<number>(64).fill(16 * MIB))), []);
    assert.deepEqual(parts(blocks(512 * MIB, ...Array<number>(65).fill(16 * MIB))), ['ramBlocks']);
    assert.deepEqual(parts(blocks(2 ** 53 - 1)), ['ramBlocks']);
    const mem = { driver: 'virtio-mem-pci', props: { memdev: 'm1', 'requested-size': 0 } };
    const large = { objects: [main, backend('m1', '8G')], devices: [mem] };
    assert.deepEqual(parts({ ...large, ...blocks(512 * MIB, 8192 * MIB) }), []);
    assert.deepEqual(parts({ ...large, ...blocks(512 * MIB, 10_240 * MIB) }), ['ramBlocks']);
  });

  test('devices with more memory than any real display are refused', () => {
    const vga = (props: Record<string, string | number>) => ({ driver: 'VGA', props });
    assert.deepEqual(parts({ devices: [vga({ vgamem_mb: 16 }), vga({ vgamem_mb: '512' })] }), []);
    assert.deepEqual(parts({ devices: [vga({ vgamem_mb: 4096 })] }), ['devices']);
    assert.deepEqual(parts({ devices: [vga({ romsize: '0x80000000' })] }), ['devices']);
    assert.deepEqual(parts({ devices: [vga({ romsize: 4294967295 })] }), ['devices']);
    assert.deepEqual(parts({ devices: [vga({ romsize: -1 })] }), [], 'as QEMU likes');
    const two = [vga({}), vga({})];
    const said = ['driver=VGA', 'property=vgamem_mb', 'value=600'];
    const orders = [said.join(), said.toReversed().join()];
    for (const value of ['VGA.vgamem_mb=600', ...orders]) {
      const options = [{ name: 'global' as const, value }];
      assert.deepEqual(parts({ options }), []);
      assert.deepEqual(parts({ options, devices: two }), ['devices']);
    }
  });

  test('a description with more processors is refused, plugged ones included', () => {
    assert.deepEqual(parts({ smp: { cpus: 2 } }), ['smp.cpus']);
    const cpu = { driver: 'max-x86_64-cpu', props: { 'socket-id': 1 } };
    assert.deepEqual(parts({ devices: [cpu] }), ['smp.cpus']);
    assert.deepEqual(parts({ devices: [cpu] }, { memoryBytes: 512 * MIB, vcpus: 2 }), []);
  });
});
