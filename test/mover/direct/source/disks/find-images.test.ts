import assert from 'node:assert/strict';
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { agentConfig } from '../../../../../src/config.ts';
import {
  directoryOf,
  finder,
  type Lying,
} from '../../../../../src/mover/direct/source/disks/find-images.ts';
import type { LookupResult } from '../../../../../src/disks/proof/pools.ts';
import { loopOf } from '../../../../disks/proof/loops.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';

const TARGET = 'iqn.2026-01.example:disks';
const soon = (): AbortSignal => AbortSignal.timeout(10_000);

function hostWith(storage: readonly object[]) {
  const own = { name: 'a', address: '10.0.0.1:7443', stateDir: '/nowhere', peers: {} };
  return finder(agentConfig.parse({ ...own, storage }));
}

function found(at: LookupResult<Lying>): Lying {
  if ('problem' in at) throw new Error(at.problem);
  return at.found;
}

function problem(at: LookupResult<Lying>): string {
  return 'problem' in at ? at.problem : 'none';
}

/** A directory with an image in a pool, and a symbolic link to where it lies. */
function laid(t: TestContext): string {
  const root = realpathSync(tempDir(t));
  mkdirSync(path.join(root, 'pool', 'web1'), { recursive: true });
  writeFileSync(path.join(root, 'pool', 'web1', 'disk0.raw'), '');
  symlinkSync(path.join(root, 'pool', 'web1'), path.join(root, 'link'));
  return root;
}

describe("an image of a guest's disk", () => {
  test('an image file is identified by its real directory, so that one proof covers all images there', async (t) => {
    const root = laid(t);
    const find = await hostWith([{ path: path.join(root, 'pool') }]);
    const at = found(await find(path.join(root, 'link', 'disk0.raw'), soon()));
    assert.deepEqual([at.path, at.directory], ['web1/disk0.raw', path.join(root, 'pool', 'web1')]);
    assert.deepEqual([at.client, Object.keys(at.proof)], [undefined, ['beside']]);
  });

  test('an image file is proved by a file next to it', async (t) => {
    const root = laid(t);
    const find = await hostWith([{ path: path.join(root, 'pool') }]);
    const { proof } = found(await find(path.join(root, 'pool', 'web1', 'disk0.raw'), soon()));
    assert.ok('beside' in proof);
    const nonce = await proof.beside.write('.godwit-m-1', soon());
    assert.equal(await proof.beside.read('.godwit-m-1', soon()), nonce);
    await proof.beside.remove('.godwit-m-1', soon());
  });

  test("an image outside the host's storage is not found, wherever its name leads", async (t) => {
    const root = laid(t);
    const outside = path.join(root, 'outside.raw');
    writeFileSync(outside, '');
    symlinkSync(outside, path.join(root, 'pool', 'inside.raw'));
    const find = await hostWith([{ path: path.join(root, 'pool') }]);
    for (const file of [outside, path.join(root, 'pool', 'inside.raw')]) {
      assert.match(problem(await find(file, soon())), /outside of what `storage` names/);
    }
    assert.match(problem(await find(path.join(root, 'pool', 'none'), soon())), /is not there/);
  });

  test("an image on a block device is a separate medium, identified by one of the host's names for it", async (t) => {
    const root = laid(t);
    const device = await loopOf(t, path.join(root, 'loop.raw'), Buffer.alloc(1024 ** 2, 1));
    if (device === undefined) return;
    mkdirSync(path.join(root, 'devices'));
    symlinkSync(device, path.join(root, 'devices', 'db1'));
    const find = await hostWith([{ devices: path.join(root, 'devices') }]);
    const at = found(await find(path.join(root, 'devices', 'db1'), soon()));
    assert.deepEqual([at.path, at.directory], ['db1', device]);
    assert.deepEqual([at.client, Object.keys(at.proof)], [undefined, ['medium']]);
    const other = await hostWith([{ path: root }]);
    assert.match(problem(await other(device, soon())), /names no `devices`/);
  });

  test('an image on iSCSI is a LUN of its target, whichever portal leads there', async () => {
    const find = await hostWith([{ iscsi: `iscsi://10.0.0.9/${TARGET}` }]);
    const at = found(await find(`iscsi://10.0.0.8:3260/${TARGET}/3`, soon()));
    assert.deepEqual([at.client, at.path], ['iscsi', '3']);
    assert.equal(at.directory, `iscsi://10.0.0.9/${TARGET}/3`);
    assert.ok('medium' in at.proof);
    assert.deepEqual(at.proof.medium.asked, { iscsi: { target: TARGET, lun: 3 } });
    assert.match(
      problem(await find('iscsi://10.0.0.9/iqn.2026-01.example:other/3', soon())),
      /none/,
    );
  });

  test('an image on RBD is an image of its pool', async () => {
    const find = await hostWith([{ rbd: 'disks' }]);
    const at = found(await find('rbd:disks/web1:id=libvirt', soon()));
    assert.deepEqual([at.client, at.path, at.directory], ['rbd', 'web1', 'rbd:disks/web1']);
    assert.ok('medium' in at.proof);
    assert.deepEqual(at.proof.medium.asked, { rbd: { pool: 'disks', image: 'web1' } });
    assert.match(problem(await find('rbd:others/web1', soon())), /in none of the pools/);
  });

  test("a client's image is searched only among the files that the client has open", async (t) => {
    const root = laid(t);
    const find = await hostWith([{ path: root }]);
    assert.match(problem(await find('nfs://filer/srv/a.raw', soon())), /no NFS export/);
    assert.match(problem(await find(`iscsi://10.0.0.9/${TARGET}/3`, soon())), /no iSCSI target/);
    assert.match(problem(await find('rbd:disks/web1', soon())), /no pool of RBD/);
  });

  test('an image that cannot be checked on its export is not found, with the reason', async () => {
    const find = await hostWith([{ nfs: 'nfs://127.0.0.1/srv' }]);
    const stop = new AbortController();
    stop.abort(new Error('cancelled'));
    assert.match(
      problem(await find('nfs://127.0.0.1/srv/vm/a.raw', stop.signal)),
      /^nfs:\/\/127\.0\.0\.1\/srv: cancelled/,
    );
  });
});

describe('the directory of a place in a pool', () => {
  test('the directory of a place at the top of a pool is empty', () => {
    assert.equal(directoryOf('disk0.raw'), '');
    assert.equal(directoryOf('web1/a/disk0.raw'), 'web1/a');
  });
});
