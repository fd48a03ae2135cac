import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import {
  answerDevice,
  identityOf,
  judgeSamples,
  locateDevice,
  numberOf,
  openDevicePools,
  resolveDevice,
  samplePlaces,
} from '../../../src/disks/proof/devices.ts';

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

describe('what a block device is', () => {
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

  test('is told by its WWN, whatever multipath calls it and however many paths there are', async () => {
    const one = await kernel();
    await one.device('sda', { 'device/wwid': 'naa.6001405' });
    await one.device('sdb', { 'device/wwid': 'naa.6001405' });
    const mpath = await one.device('dm-0', { 'dm/uuid': 'mpath-36001405' }, ['sda', 'sdb']);
    const other = await kernel();
    const single = await other.device('sdx', { 'device/wwid': 'naa.6001405' });
    assert.deepEqual(await one.ids(mpath), ['wwid naa.6001405']);
    assert.deepEqual(await other.ids(single), await one.ids(mpath));
  });

  test('is told of a volume by its own id and by all that it lies on', async () => {
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

  test('is told of a partition by its disk and its place on it', async () => {
    const here = await kernel();
    await here.device('sda', { 'device/wwid': 'naa.1' });
    const first = await here.device('sda/sda1', { partition: '1', start: '64', size: '8' });
    const second = await here.device('sda/sda2', { partition: '2', start: '72', size: '8' });
    assert.deepEqual(await here.ids(first), ['part 64 8', 'wwid naa.1']);
    assert.notDeepEqual(await here.ids(second), await here.ids(first));
  });

  test('ends where devices lie on one another in a circle', async () => {
    const here = await kernel();
    const odd = await here.device('dm-0', { 'dm/uuid': 'LVM-a' }, ['dm-0']);
    assert.deepEqual(await here.ids(odd), []);
  });

  test('is numbered as the kernel numbers it', async () => {
    const { rdev } = await stat('/dev/null');
    assert.equal(numberOf(rdev), '1:3');
    assert.equal(numberOf(0x7_03), '7:3');
    assert.equal(numberOf(0x10_fd_12), '253:274');
  });
});

describe('names of block devices', () => {
  test('lead to nothing else, and out of no directory', async () => {
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
      const asked = { ids: ['wwid 1'], bytes: 512 };
      const signal = AbortSignal.timeout(5000);
      assert.deepEqual(await answerDevice([pool], asked, 'ab', signal), {});
    } finally {
      await rm(root, { recursive: true });
    }
  });
});

describe('samples of a block device', () => {
  test('lie within it, on both ends, and where the challenge says', () => {
    fc.assert(
      fc.property(fc.bigInt(4096n, 2n ** 45n), fc.string(), (bytes, nonce) => {
        const places = samplePlaces(Number(bytes), nonce);
        assert.equal(places.length, 64);
        assert.equal(places[0], 0);
        for (const at of places)
          assert.ok(at >= 0 && at % 4096 === 0 && at + 4096 <= Number(bytes));
        assert.deepEqual(samplePlaces(Number(bytes), nonce), places);
      }),
    );
    assert.notDeepEqual(samplePlaces(2 ** 40, 'a'), samplePlaces(2 ** 40, 'b'));
    assert.deepEqual(samplePlaces(512, 'a'), []);
  });

  test('are the same where what did not change here was read so there', () => {
    const sum = fc.constantFrom('a', 'b');
    const all = fc.array(fc.tuple(sum, sum, sum), { minLength: 1, maxLength: 64 });
    fc.assert(
      fc.property(all, (read) => {
        const [before, there, later] = [0, 1, 2].map((at) => read.map((each) => each[at] ?? ''));
        const { same } = judgeSamples(before ?? [], there ?? [], later ?? []);
        const still = read.filter(([one, , two]) => one === two);
        const differs = still.some(([one, other]) => one !== other);
        if (differs) assert.equal(same, false);
        if (!differs && still.length === read.length) assert.equal(same, true);
      }),
    );
  });

  test('prove nothing where there are none, or fewer', () => {
    assert.equal(judgeSamples([], [], []).same, false);
    assert.equal(judgeSamples(['a', 'b'], ['a'], ['a', 'b']).same, false);
    const changed = Array.from({ length: 64 }, (_, index) => String(index));
    assert.equal(
      judgeSamples(
        changed,
        changed,
        changed.map((each) => `${each}x`),
      ).same,
      false,
    );
  });
});
