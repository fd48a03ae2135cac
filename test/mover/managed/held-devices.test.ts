import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { symlinkSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { AgentConfig } from '../../../src/config.ts';
import { PlaceIds } from '../../../src/mover/direct/destination/disks/place-ids.ts';
import { answerStorage } from '../../../src/mover/direct/destination/disks/storage.ts';
import {
  heldDeviceChecks,
  type HeldDevicesAsked,
} from '../../../src/mover/managed/held-devices.ts';
import type { DeviceAnswer, DeviceProof } from '../../../src/protocol/disk.ts';
import { loopOf } from '../../disks/proof/loops.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const ID = 'c-0000000000000001';
const BYTES = 4 * 1024 ** 2;

type Ask = (devices: readonly DeviceProof[]) => Promise<readonly DeviceAnswer[]>;

/** The other host, where `at` is what lies under the path of the guest’s device. */
function there(at: (file: string) => string): Ask {
  const placeIds = new PlaceIds(() => Buffer.alloc(32, 7));
  const config = { name: 'b', storage: [] } as unknown as AgentConfig;
  return async (devices) => {
    const asked = devices.map((each) => ({ ...each, at: at(each.at ?? '') }));
    const proof = { places: [], devices: asked };
    return (await answerStorage({ config, placeIds }, { id: ID, from: 'a' }, proof)).devices ?? [];
  };
}

async function said(file: string, ask: HeldDevicesAsked['ask'], isWritten = true): Promise<string> {
  const order = { guest: 'web1', from: 'a', to: 'b' };
  const devices = [{ name: 'vda', file, isWritten }];
  const checks = await heldDeviceChecks(
    { devices, order, id: ID, ask },
    AbortSignal.timeout(20_000),
  );
  assert.equal(checks.length, 1);
  const { name, verdict, evidence, error } = checks[0] ?? {};
  return [name, verdict, error?.code ?? '', evidence].join(' ');
}

describe('a managed block device', () => {
  test('a managed block device is proved if both hosts have it at its path, even through a link', async (t) => {
    const dir = tempDir(t);
    const device = await loopOf(t, path.join(dir, 'image'), randomBytes(BYTES));
    if (device === undefined) return;
    const link = path.join(dir, 'web1');
    symlinkSync(device, link);
    for (const file of [device, link])
      assert.match(
        await said(
          file,
          there((at) => at),
        ),
        /^disks pass .* b has the same one there$/,
      );
  });

  test('a managed block device is refused if its path has another one, such as a copy, or none', async (t) => {
    const dir = tempDir(t);
    const content = randomBytes(BYTES);
    const device = await loopOf(t, path.join(dir, 'image'), content);
    const copy = await loopOf(t, path.join(dir, 'copy'), content);
    if (device === undefined || copy === undefined) return;
    const refused = /^disks refuse GODWIT_DISK_LOCAL .* what lies at \S+ there is another device/;
    for (const other of [copy, '/dev/null', path.join(dir, 'image'), path.join(dir, 'none')])
      assert.match(
        await said(
          device,
          there(() => other),
        ),
        refused,
      );
    // A medium to read from is no reason to stay.
    assert.match(
      await said(
        device,
        there(() => copy),
        false,
      ),
      /^disks warn .* another device/,
    );
  });

  test('a managed block device is refused if the other host reads different data from the same ids', async (t) => {
    const dir = tempDir(t);
    const device = await loopOf(t, path.join(dir, 'image'), randomBytes(BYTES));
    if (device === undefined) return;
    const ask = there((at) => at);
    const lying: Ask = async (devices) =>
      (await ask(devices)).map((each) =>
        each.samples === undefined
          ? each
          : { ...each, samples: each.samples.map(() => '0'.repeat(16)) },
      );
    assert.match(await said(device, lying), /^disks refuse .* holds something else there/);
  });

  test('a managed block device causes a warning if no agent of a current build answers there', async (t) => {
    const device = await loopOf(t, path.join(tempDir(t), 'image'), randomBytes(BYTES));
    if (device === undefined) return;
    const warned = (why: string) =>
      new RegExp(`^disks warn .*nobody looked whether b has the same one at that path: .*${why}`);
    assert.match(await said(device, 'a knows no agent at b'), warned('a knows no agent at b'));
    assert.match(await said(device, async () => [{}]), warned('an earlier build'));
    assert.match(await said(device, async () => []), warned('an earlier build'));
    const silent: Ask = () => Promise.reject(new Error('nobody answers'));
    assert.match(await said(device, silent), warned('nobody answers'));
  });

  test('a managed block device causes a warning if only its manager may see it here', async () => {
    const ask = (): never => assert.fail('nothing is asked of it');
    assert.match(await said('/dev/no-such-device', ask), /^disks warn .*: a does not see it$/);
  });
});
