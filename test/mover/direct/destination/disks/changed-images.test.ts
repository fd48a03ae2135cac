import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { parseAgentConfig } from '../../../../../src/config.ts';
import { openPools } from '../../../../../src/disks/proof/pools.ts';
import { findChanged } from '../../../../../src/mover/direct/destination/disks/changed-images.ts';
import { openPlaceIds } from '../../../../../src/mover/direct/destination/disks/place-ids.ts';
import { preparation } from '../../../../../src/protocol/peer/migration.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';

test('a write below the top image after the confirmation is detected, and a write to the top is not', async (t) => {
  const stateDir = tempDir(t);
  const dir = path.join(tempDir(t), 'pool');
  mkdirSync(dir);
  const [top, base] = [path.join(dir, 'top.qcow2'), path.join(dir, 'base.qcow2')];
  for (const file of [top, base]) writeFileSync(file, 'image');
  const text = JSON.stringify({
    name: 'b',
    address: '127.0.0.1:7001',
    stateDir,
    storage: [{ path: dir }],
  });
  const config = parseAgentConfig('agent.json', text);
  const [pool] = await openPools(config.storage);
  const image = (node: string, readOnly: boolean) => ({
    node,
    format: 'qcow2',
    bytes: 1,
    readOnly,
  });
  const place = (node: string) => ({ node, pool: pool?.id ?? '', path: `${node}.qcow2` });
  const asked = preparation.parse({
    epoch: 1,
    description: {
      driver: 'fake',
      name: 'db1',
      memoryBytes: 1,
      vcpus: 1,
      hypervisorVersion: '1',
      spec: {},
      disks: [{ name: 'vda', images: [image('top', false), image('base', true)] }],
    },
    stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
    places: [place('top'), place('base')],
  });
  const stamps = ['top', 'base'].map((node) => {
    const { size, mtimeNs } = statSync(path.join(dir, `${node}.qcow2`), { bigint: true });
    return { node, bytes: Number(size), writtenNs: String(mtimeNs) };
  });
  const find = () => findChanged({ config, placeIds: openPlaceIds(stateDir) }, asked, stamps);
  assert.equal(await find(), undefined);
  // The guest wrote until its host died.
  appendFileSync(top, 'more');
  assert.equal(await find(), undefined);
  utimesSync(base, new Date(), new Date(Date.now() + 60_000));
  assert.equal(await find(), base);
  appendFileSync(base, 'committed');
  assert.equal(await find(), base);
  rmSync(base);
  await assert.rejects(find(), { code: 'GODWIT_DISK_MISSING' });
});
