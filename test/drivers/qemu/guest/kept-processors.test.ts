import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KeptProcessors } from '../../../../src/drivers/qemu/guest/kept-processors.ts';
import type { QemuProcess } from '../../../../src/drivers/qemu/guest/process.ts';
import type { CpuFacts } from '../../../../src/drivers/qemu/spec/facts.ts';

const QEMU: QemuProcess = {
  pid: 7,
  startTicks: 100,
  bootId: 'boot',
  binary: '/usr/bin/qemu-system-x86_64',
  argv: ['qemu-system-x86_64', '-cpu', 'qemu64'],
  cwd: '/',
};
const AT = ['/machine/unattached/device[0]', 'qemu64-x86_64-cpu'] as const;

function asked() {
  const kept = new KeptProcessors();
  const at = { count: 0 };
  const of = (process: QemuProcess, place: readonly [string, string] = AT) =>
    kept.of(process, place, async (): Promise<CpuFacts> => {
      at.count += 1;
      return { model: `${at.count}`, identity: {}, features: [], words: [] };
    });
  return { kept, at, of };
}

describe('kept processors of guests', () => {
  test('processors are requested once for each QEMU', async () => {
    const { of } = asked();
    assert.equal((await of(QEMU)).model, '1');
    assert.equal((await of({ ...QEMU, argv: [...QEMU.argv] })).model, '1');
    assert.equal((await of({ ...QEMU, pid: 8 })).model, '2');
    assert.equal((await of(QEMU)).model, '1');
  });

  test('processors are requested again if they or the QEMU may have changed', async () => {
    const { at, of } = asked();
    await of(QEMU);
    const others: QemuProcess[] = [
      { ...QEMU, startTicks: 101 },
      { ...QEMU, bootId: 'another' },
      { ...QEMU, binary: '/opt/qemu-system-x86_64' },
      { ...QEMU, argv: ['qemu-system-x86_64', '-cpu', 'max'] },
    ];
    for (const each of others) await of(each);
    assert.equal(at.count, 5);
    await of(QEMU);
    await of(QEMU, ['/machine/peripheral/cpu1', AT[1]]);
    await of(QEMU, [AT[0], 'max-x86_64-cpu']);
    assert.equal(at.count, 8);
  });

  test('processors are forgotten with their QEMU, and not kept if they could not be read', async () => {
    const { kept, at, of } = asked();
    const failing = kept.of(QEMU, AT, () => Promise.reject(new Error('silent')));
    await assert.rejects(failing, /silent/);
    await of(QEMU);
    await of({ ...QEMU, pid: 8 });
    kept.keepOnly([{ pid: 8 }]);
    await of({ ...QEMU, pid: 8 });
    assert.equal(at.count, 2);
    await of(QEMU);
    assert.equal(at.count, 3);
  });
});
