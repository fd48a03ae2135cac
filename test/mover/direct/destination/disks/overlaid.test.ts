import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseAgentConfig } from '../../../../../src/config.ts';
import { openPools } from '../../../../../src/disks/proof/pools.ts';
import { openPlaceIds } from '../../../../../src/mover/direct/destination/disks/place-ids.ts';
import { refuseOverlaidRecovery } from '../../../../../src/mover/direct/destination/disks/overlaid.ts';
import { preparation } from '../../../../../src/protocol/peer/migration.ts';
import { overlayOf } from '../../../../disks/backing/images.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';

const never = AbortSignal.timeout(60_000);

/** A guest with a top image on a base, and a disk of its own for reading. */
async function guestIn(t: TestContext) {
  const stateDir = tempDir(t);
  const dir = path.join(tempDir(t), 'pool');
  mkdirSync(dir);
  writeFileSync(path.join(dir, 'base.qcow2'), overlayOf(''));
  writeFileSync(path.join(dir, 'top.qcow2'), overlayOf('base.qcow2'));
  writeFileSync(path.join(dir, 'tools.iso'), 'tools');
  const text = JSON.stringify({
    name: 'b',
    address: '127.0.0.1:7001',
    stateDir,
    storage: [{ path: dir }],
  });
  const config = parseAgentConfig('agent.json', text);
  const [pool] = await openPools(config.storage);
  const placeAt = (node: string, file: string) => ({ node, pool: pool?.id ?? '', path: file });
  const image = (node: string, readOnly: boolean) => ({
    node,
    format: 'qcow2',
    bytes: 1,
    readOnly,
  });
  const asked = preparation.parse({
    epoch: 1,
    description: {
      driver: 'fake',
      name: 'db1',
      memoryBytes: 1,
      vcpus: 1,
      hypervisorVersion: '1',
      spec: {},
      disks: [
        { name: 'vda', images: [image('top', false), image('base', true)] },
        { name: 'cd0', images: [image('tools', true)] },
      ],
    },
    stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
    places: [
      placeAt('top', 'top.qcow2'),
      placeAt('base', 'base.qcow2'),
      placeAt('tools', 'tools.iso'),
    ],
  });
  const context = { config, placeIds: openPlaceIds(stateDir) };
  return { dir, refuse: () => refuseOverlaidRecovery(context, asked, never) };
}

test('a guest whose images no other image needs is recovered, though its overlay needs the base', async (t) => {
  const { refuse, dir } = await guestIn(t);
  writeFileSync(path.join(dir, 'clone.qcow2'), overlayOf('base.qcow2'));
  writeFileSync(path.join(dir, 'reader.qcow2'), overlayOf('tools.iso'));
  await refuse();
});

test('a guest is not recovered on an image that a snapshot has made a backing file, and both are named', async (t) => {
  const { refuse, dir } = await guestIn(t);
  writeFileSync(path.join(dir, 'snap.qcow2'), overlayOf(path.join(dir, 'top.qcow2')));
  await assert.rejects(refuse(), (thrown: Error & { code?: string }) => {
    assert.equal(thrown.code, 'GODWIT_DISK_OVERLAID');
    assert.match(thrown.message, /disk vda of db1: .*snap\.qcow2 names .*top\.qcow2/);
    return true;
  });
  rmSync(path.join(dir, 'snap.qcow2'));
  await refuse();
});
