import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  answerDevice,
  identityOf,
  locateDevice,
  numberOf,
  openDevicePools,
  resolveDevice,
  stampOf,
  type DeviceQuestion,
} from '../../../src/disks/proof/devices.ts';
import { sampleDevice, samplePlaces, sumOf } from '../../../src/disks/proof/device-samples.ts';
import type { DeviceProof } from '../../../src/protocol/disk.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { loopOf } from './loops.ts';

function questionOf(asked: DeviceProof): DeviceQuestion {
  return { from: 'a', to: 'b', migration: 'm-1', challenge: 'ab'.repeat(32), asked };
}

/** A kernel’s tree of devices, made of files: any file of this host stands for the device whose number it has (0:0). */
class Kernel {
  readonly sys: string;
  readonly #top: string;

  constructor(top: string) {
    this.#top = top;
    this.sys = path.join(top, 'sys');
  }

  async device(name: string, files: Record<string, string>, below: readonly string[] = []) {
    const at = path.join(this.#top, 'devices', name);
    for (const [file, text] of Object.entries({ size: '2048', ...files })) {
      await mkdir(path.dirname(path.join(at, file)), { recursive: true });
      await writeFile(path.join(at, file), `${text}\n`);
    }
    if (below.length > 0) await mkdir(path.join(at, 'slaves'));
    for (const each of below) {
      await symlink(
        path.join(this.#top, 'devices', each),
        path.join(at, 'slaves', path.basename(each)),
      );
    }
    return at;
  }

  async ids(at: string): Promise<readonly string[]> {
    const number = numberOf((await stat(this.#top)).rdev);
    await rm(path.join(this.sys, number), { force: true });
    await mkdir(this.sys, { recursive: true });
    await symlink(at, path.join(this.sys, number));
    return (await identityOf(this.#top, this.sys)).ids;
  }
}

describe('the identity of a block device', () => {
  let top: string;
  before(async () => {
    top = await mkdtemp(path.join(tmpdir(), 'godwit-devices-'));
  });
  after(() => rm(top, { recursive: true }));
  let made = 0;
  const kernel = async (): Promise<Kernel> => {
    const own = path.join(top, `k${made++}`);
    await mkdir(own);
    return new Kernel(own);
  };

  test('a disk is identified by its WWN, whatever multipath calls it and however many paths there are', async () => {
    const one = await kernel();
    await one.device('sda', { 'device/wwid': 'naa.6001405' });
    await one.device('sdb', { 'device/wwid': 'naa.6001405' });
    const mpath = await one.device('dm-0', { 'dm/uuid': 'mpath-36001405' }, ['sda', 'sdb']);
    const other = await kernel();
    const single = await other.device('sdx', { 'device/wwid': 'naa.6001405' });
    assert.deepEqual(await one.ids(mpath), ['wwid naa.6001405']);
    assert.deepEqual(await other.ids(single), await one.ids(mpath));
  });

  test('a volume is identified by its id and by all devices below it', async () => {
    const here = await kernel();
    await here.device('sda', { 'device/wwid': 'naa.1' });
    await here.device('sdb', { wwid: 'eui.2' });
    const volume = await here.device('dm-1', { 'dm/uuid': 'LVM-abc' }, ['sda', 'sdb']);
    assert.deepEqual(await here.ids(volume), ['dm LVM-abc', 'wwid eui.2', 'wwid naa.1']);
    const copy = await kernel();
    await copy.device('sda', { 'device/wwid': 'naa.3' });
    const cloned = await copy.device('dm-1', { 'dm/uuid': 'LVM-abc' }, ['sda']);
    assert.notDeepEqual(await copy.ids(cloned), await here.ids(volume));
  });

  test('a partition is identified by its disk and its place on it', async () => {
    const here = await kernel();
    await here.device('sda', { 'device/wwid': 'naa.1' });
    const first = await here.device('sda/sda1', { partition: '1', start: '64', size: '8' });
    const second = await here.device('sda/sda2', { partition: '2', start: '72', size: '8' });
    assert.deepEqual(await here.ids(first), ['part 64 8', 'wwid naa.1']);
    assert.notDeepEqual(await here.ids(second), await here.ids(first));
  });

  test('a circle of devices ends the identification', async () => {
    const here = await kernel();
    const odd = await here.device('dm-0', { 'dm/uuid': 'LVM-a' }, ['dm-0']);
    assert.deepEqual(await here.ids(odd), []);
  });

  test("the number of a device has the kernel's format", async () => {
    const { rdev } = await stat('/dev/null');
    assert.equal(numberOf(rdev), '1:3');
    assert.equal(numberOf(0x7_03), '7:3');
    assert.equal(numberOf(0x10_fd_12), '253:274');
  });
});

describe('names of block devices', () => {
  test('the name of a block device never leads to another file or out of its directory', async () => {
    const root = await mkdtemp(path.join(tmpdir(), 'godwit-devices-'));
    try {
      await symlink('/dev/null', path.join(root, 'null'));
      await writeFile(path.join(root, 'file'), '');
      const [pool] = await openDevicePools([{ devices: root }, { path: root }, { devices: '/no' }]);
      assert.ok(pool);
      for (const name of ['null', 'file', '../x', 'none']) {
        assert.ok('problem' in (await resolveDevice(pool, name)), name);
      }
      assert.ok('problem' in (await locateDevice([pool], '/dev/null')));
      assert.ok('problem' in (await locateDevice([], '/dev/null')));
      const question = questionOf({ ids: ['wwid 1'], bytes: 512 });
      assert.deepEqual(await answerDevice([pool], question, AbortSignal.timeout(5000)), {});
      for (const name of ['null', 'file', '../x', 'none']) {
        assert.equal(await stampOf(pool, name), undefined, name);
      }
    } finally {
      await rm(root, { recursive: true });
    }
  });
});

describe('the destination’s answer about a block device', () => {
  const MIB = 1024 ** 2;
  const signal = AbortSignal.timeout(60_000);
  const ofDevice = async (file: string): Promise<DeviceProof> => {
    const { ids, bytes } = await identityOf(file);
    return { ids: [...ids], bytes };
  };
  const reported = async (file: string): Promise<DeviceProof> => {
    const device = await ofDevice(file);
    const samples = await sampleDevice(file, { ...questionOf(device), device }, signal);
    return { ...device, samples: samples.map(({ sum }) => sum) };
  };

  test('the answer gives neither description nor place to a host that never read the device', async (t) => {
    const root = tempDir(t);
    // A little data in the midst of zeroes.
    const content = Buffer.alloc(8 * MIB);
    randomBytes(MIB / 8).copy(content, MIB);
    const file = await loopOf(t, path.join(tempDir(t), 'thin'), content);
    if (file === undefined) return;
    await symlink(file, path.join(root, 'payroll'));
    const pools = await openDevicePools([{ devices: root }]);
    const device = await ofDevice(file);
    const question = questionOf(device);
    const ask = (asked: DeviceProof) => answerDevice(pools, questionOf(asked), signal);
    assert.deepEqual(await ask(device), { challenge: question.challenge });
    const zeroes = samplePlaces(device.bytes, question.challenge).map((at) =>
      sumOf(Buffer.alloc(4096), at, { ...question, device }),
    );
    for (const asked of [
      { ...device, samples: zeroes },
      { ...device, bytes: 512, samples: zeroes },
      { ...device, samples: [] },
    ]) {
      const answer = await ask(asked);
      assert.deepEqual(Object.keys(answer), ['problem']);
      assert.doesNotMatch(answer.problem ?? '', new RegExp(`${device.bytes}|payroll`));
    }
    // Also who reads it cannot prove it by so little.
    assert.match((await ask(await reported(file))).problem ?? '', /too little of it holds data/);
  });

  test("the answer has the place and the device's identity for a host that reads the same", async (t) => {
    const root = tempDir(t);
    const file = await loopOf(t, path.join(tempDir(t), 'full'), randomBytes(4 * MIB));
    if (file === undefined) return;
    for (const name of ['lun1', 'by-id-1']) await symlink(file, path.join(root, name));
    const pools = await openDevicePools([{ devices: root }]);
    const [pool] = pools;
    assert.ok(pool !== undefined);
    const asked = await reported(file);
    const answer = await answerDevice(pools, questionOf(asked), signal);
    assert.equal(answer.path, 'by-id-1');
    assert.deepEqual(answer.samples, asked.samples);
    assert.equal(answer.stamp, await stampOf(pool, 'by-id-1'));
    assert.equal(answer.stamp, await stampOf(pool, 'lun1'));
    for (const change of [{ from: 'c' }, { to: 'c' }, { migration: 'm-2' }]) {
      const other = await answerDevice(pools, { ...questionOf(asked), ...change }, signal);
      assert.match(other.problem ?? '', /holds something else there/);
    }
  });
});
