import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { parseAgentConfig, type AgentConfig } from '../../../../../src/config.ts';
import { openVolumePools } from '../../../../../src/disks/volumes/pools.ts';
import type { SerialError } from '../../../../../src/errors.ts';
import { makeVolumes } from '../../../../../src/mover/direct/destination/disks/volumes.ts';
import {
  planImages,
  type ImagePlan,
} from '../../../../../src/mover/direct/destination/disks/images.ts';
import type { DiskImage, ImagePlace } from '../../../../../src/protocol/disk.ts';
import type { Preparation } from '../../../../../src/protocol/peer/migration.ts';
import { FakeLvm } from '../../../../disks/volumes/fake-lvm.ts';

const MIB = 1024 ** 2;
const ELSEWHERE = '0'.repeat(16);
const soon = (): AbortSignal => AbortSignal.timeout(30_000);

describe('the place for a copy of a disk on a block device', () => {
  const searched = process.env['PATH'];
  let top: string;
  let fake: FakeLvm;

  before(() => {
    top = mkdtempSync(path.join(tmpdir(), 'godwit-plan-'));
    fake = new FakeLvm(top, { loops: false });
    mkdirSync(path.join(top, 'files'));
  });
  after(() => {
    process.env['PATH'] = searched;
    rmSync(top, { recursive: true });
  });
  beforeEach(() => {
    process.env['PATH'] = `${fake.bin}:${searched}`;
    fake.group('vg0', { devices: path.join(top, 'vg0') });
    fake.group('vg1', { devices: path.join(top, 'vg1') });
  });

  const lvm = (group: string, more = {}) => ({
    devices: path.join(top, group),
    make: { lvm: group, ...more },
  });
  const files = (): object => ({ path: path.join(top, 'files') });
  function host(...storage: object[]): AgentConfig {
    const text = { name: 'b', address: '127.0.0.1:7001', stateDir: path.join(top, 's'), storage };
    return parseAgentConfig('agent.json', JSON.stringify(text));
  }
  async function plan(
    config: AgentConfig,
    image: Partial<DiskImage> = {},
    copy: Partial<ImagePlace> = {},
    isOnDevice = true,
    migration?: string,
  ): Promise<ImagePlan> {
    const node = 'top';
    const images = [{ node, format: 'raw' as const, bytes: 8 * MIB, readOnly: false, ...image }];
    const copies: ImagePlace[] = [
      {
        node,
        pool: ELSEWHERE,
        path: 'web1',
        ...copy,
        ...(isOnDevice ? { onDevice: true as const } : {}),
      },
    ];
    const description = { name: 'web1', disks: [{ name: 'vda', images }] };
    return planImages(config, { description, copies } as unknown as Preparation, soon(), migration);
  }
  async function refusal(given: Promise<ImagePlan>): Promise<SerialError> {
    const { images, checks } = await given;
    assert.deepEqual(images, []);
    const [check, ...others] = checks;
    assert.ok(check?.error !== undefined && others.length === 0, JSON.stringify(checks));
    return check.error;
  }

  test('a copy on a block device is a volume that Godwit creates, in the matching or the only group', async () => {
    const [first] = (await plan(host(files(), lvm('vg0')))).images;
    assert.equal(first?.file, path.join(top, 'vg0/web1'));
    assert.equal(first.volume?.bytes, 8 * MIB);
    const both = host(lvm('vg0'), lvm('vg1'));
    const [, second] = await openVolumePools(both.storage);
    const [chosen] = (await plan(both, {}, { pool: second?.directoryId ?? '' })).images;
    assert.equal(chosen?.file, path.join(top, 'vg1/web1'));
    const [own] = (await plan(both, {}, chosen.place, false)).images;
    assert.deepEqual(own?.volume, chosen.volume, 'the same one once it was chosen');
    assert.match((await refusal(plan(both))).message, /none of the `devices` with `make`/);
    assert.ok(
      fake.log.every((line) => /^(vgs|lvs) /.test(line)),
      'and nothing is changed',
    );
  });

  test('a copy is a file if the source has no raw device, or the host creates no volumes', async () => {
    const config = host(files(), lvm('vg0'));
    const places = [
      await plan(config, {}, {}, false),
      await plan(config, { format: 'qcow2' }),
      await plan(host(files(), { devices: path.join(top, 'vg0') })),
    ];
    for (const { images } of places) assert.equal(images[0]?.file, path.join(top, 'files/web1'));
  });

  test('a copy on a block device is refused by name, with a remedy, if no volume can be created', async () => {
    const config = host(lvm('vg0'));
    const odd = await refusal(plan(config, { bytes: 8 * MIB + 512 }));
    assert.equal(odd.code, 'GODWIT_DISK_PLACE');
    assert.match(`${odd.message} ${odd.hint}`, /no multiple of 4 MiB.*Enlarge the source’s volume/);
    const name = await refusal(plan(config, {}, { path: 'web1_rimage' }));
    assert.match(`${name.message} ${name.hint}`, /LVM keeps names.*Give the source’s device/);
    const nested = await refusal(plan(config, {}, { path: 'a/web1' }));
    assert.match(nested.message, /LVM takes no such name/);
    const full = await refusal(plan(config, { bytes: 260 * MIB }));
    assert.equal(full.code, 'GODWIT_DISK_SPACE');
    assert.match(`${full.message} ${full.hint}`, /260 MiB.*256 MiB.*the volume group vg0/);
    const none = await refusal(plan(host(lvm('vg9'))));
    assert.match(`${none.message} ${none.hint}`, /no volume group vg9.*`make\.lvm`/);
    const pool = await refusal(plan(host(lvm('vg0', { thinPool: 'tp' }))));
    assert.match(`${pool.message} ${pool.hint}`, /vg0 has no thin pool tp.*`make\.thinPool`/);
    process.env['PATH'] = path.join(top, 'files');
    const missing = await refusal(plan(config));
    assert.equal(missing.code, 'GODWIT_HOST_LACKS');
    assert.match(`${missing.message} ${missing.hint}`, /program `lvm`.*package lvm2/);
  });

  test('a copy never uses an existing volume, unless this migration created it', async () => {
    const config = host(lvm('vg0'));
    const marked = (tags: string[]): void =>
      fake.group('vg0', {
        devices: path.join(top, 'vg0'),
        volumes: { web1: { bytes: 8 * MIB, tags } },
      });
    for (const tags of [[], ['godwit=m-0000000b']]) {
      marked(tags);
      const error = await refusal(plan(config, {}, {}, true, 'm-0000000a'));
      assert.match(error.message, /vg0\/web1 is there already/);
    }
    marked(['godwit=m-0000000a']);
    assert.equal((await plan(config, {}, {}, true, 'm-0000000a')).images.length, 1);
  });

  test('a volume is given up if its name has no device of that size', async (t) => {
    const [planned] = (await plan(host(lvm('vg0')))).images;
    assert.ok(planned?.volume !== undefined);
    mkdirSync(path.join(top, 'vg0'), { recursive: true });
    writeFileSync(path.join(top, 'other'), '');
    symlinkSync(path.join(top, 'other'), path.join(top, 'vg0/web1'));
    t.after(() => rmSync(path.join(top, 'vg0'), { recursive: true }));
    await assert.rejects(makeVolumes('web1', [planned.volume], 'm-0000000a', soon()), {
      code: 'GODWIT_DISK_FAILED',
    });
  });
});
