import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { parseAgentConfig } from '../../../../../src/config.ts';
import { openDevicePools, stampOf } from '../../../../../src/disks/proof/devices.ts';
import { openPools } from '../../../../../src/disks/proof/pools.ts';
import { proofFile, writeProof } from '../../../../../src/disks/proof/proof.ts';
import { identifyOpen, identityOf } from '../../../../../src/system/files/open-files.ts';
import { inodeIn } from '../../../../../src/migration/image-identity.ts';
import { hasCode } from '../../../../../src/errors.ts';
import { openPlaceIds } from '../../../../../src/mover/direct/destination/disks/place-ids.ts';
import {
  answerStorage,
  filesToOpen,
  mustHaveOpened,
  refuseWrittenBackingFiles,
  withOwnPlaces,
} from '../../../../../src/mover/direct/destination/disks/storage.ts';
import { place, proofPlace, type Disk } from '../../../../../src/protocol/disk.ts';
import type { Preparation } from '../../../../../src/protocol/peer/migration.ts';
import { loopOf } from '../../../../disks/proof/loops.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';

const MIGRATION = 'm-aaaaaaaa';
const ADMITTED = { id: MIGRATION, from: 'a' };
const DIRECTORIES = ['', 'web1', 'web1/old', 'payroll'] as const;

const disks: Disk[] = [
  { name: 'vda', images: [{ node: 'top', format: 'raw', bytes: 512, readOnly: false }] },
];

function preparation(change: Partial<Preparation>): Preparation {
  return {
    epoch: 1,
    description: {
      driver: 'qemu',
      name: 'web1',
      memoryBytes: 1,
      vcpus: 1,
      hypervisorVersion: '10.0',
      disks,
      spec: {},
    },
    stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
    ...change,
  };
}

/** A destination with one pool, an image in each directory of it, and the ids of one migration and of another one. */
async function destination(t: TestContext) {
  const top = tempDir(t);
  const root = path.join(top, 'pool');
  for (const directory of DIRECTORIES) {
    mkdirSync(path.join(root, directory), { recursive: true });
    writeFileSync(path.join(root, directory, 'disk.raw'), 'x'.repeat(512));
  }
  const dirs = { own: path.join(top, 'm'), other: path.join(top, 'other') };
  for (const dir of Object.values(dirs)) mkdirSync(dir);
  const text = { name: 'b', address: '127.0.0.1:7001', stateDir: top, storage: [{ path: root }] };
  const config = parseAgentConfig('agent.json', JSON.stringify(text));
  const [pool] = await openPools(config.storage);
  assert.ok(pool !== undefined);
  const placeIds = openPlaceIds(dirs.own);
  return { root, dirs, config, pool, placeIds, others: openPlaceIds(dirs.other) };
}

type Destination = Awaited<ReturnType<typeof destination>>;

const pathIn = (directory: string): string =>
  directory === '' ? 'disk.raw' : `${directory}/disk.raw`;

/** As a source does on storage that both hosts have. */
async function prove(there: Destination, directory: string): Promise<string | undefined> {
  const at = path.join(there.root, directory);
  await writeProof(at, proofFile(MIGRATION));
  const asked = { directory, file: proofFile(MIGRATION) };
  const { places } = await answerStorage(there, ADMITTED, { places: [proofPlace.parse(asked)] });
  return places[0]?.pool;
}

/** The files that a preparation with this place leads to; undefined: it was refused. */
async function opened(
  there: Destination,
  pool: string,
  file: string,
  inode?: string,
): Promise<string[] | undefined> {
  const asked = preparation({ places: [place.parse({ node: 'top', pool, path: file, inode })] });
  try {
    const own = await withOwnPlaces(there, asked, true);
    return [...(await filesToOpen(there, own)).values()];
  } catch (error) {
    const code = inode === undefined ? 'GODWIT_DISK_MISSING' : 'GODWIT_DISK_REPLACED';
    assert.ok(hasCode(error, code), String(error));
    return undefined;
  }
}

describe('a place at the destination', () => {
  test('a place id opens the image in the proved directory, and no other', async (t) => {
    const there = await destination(t);
    const id = await prove(there, 'web1');
    assert.ok(id !== undefined);
    assert.deepEqual(await opened(there, id, 'web1/disk.raw'), [
      path.join(there.root, 'web1/disk.raw'),
    ]);
    for (const directory of ['', 'web1/old', 'payroll']) {
      assert.equal(await opened(there, id, pathIn(directory)), undefined, directory);
    }
  });

  test("a place id opens the file that the source's hypervisor has open, and no later file at its path", async (t) => {
    const there = await destination(t);
    const id = await prove(there, 'web1');
    const file = path.join(there.root, 'web1/disk.raw');
    const inode = inodeIn(await identityOf(file));
    assert.ok(id !== undefined && inode !== undefined);
    assert.deepEqual(await opened(there, id, 'web1/disk.raw', inode), [file]);
    writeFileSync(`${file}.new`, '');
    renameSync(`${file}.new`, file);
    assert.equal(await opened(there, id, 'web1/disk.raw', inode), undefined);
    // A source that cannot compare, as one of an earlier build, names none.
    assert.deepEqual(await opened(there, id, 'web1/disk.raw'), [file]);
  });

  test('a place is refused by any id that no proof of this migration gave', async (t) => {
    const there = await destination(t);
    const ids = fc.oneof(
      // What this host calls its pool: everybody who knows its path can compute it.
      fc.constant(there.pool.id),
      fc.constantFrom(...DIRECTORIES).map((each) => there.others.proved(there.pool.id, each)),
      fc
        .constantFrom(...DIRECTORIES)
        .map((each) => there.placeIds.made(there.pool.id, pathIn(each))),
      fc.constantFrom(...DIRECTORIES).map((each) => there.placeIds.proved('0'.repeat(16), each)),
      fc.stringMatching(/^[0-9a-f]{16}$/),
    );
    await fc.assert(
      fc.asyncProperty(ids, fc.constantFrom(...DIRECTORIES), async (id, directory) => {
        assert.equal(await opened(there, id, pathIn(directory)), undefined);
      }),
    );
  });

  test('a place has the same id for a mover that takes over', async (t) => {
    const there = await destination(t);
    const id = await prove(there, 'web1');
    const next = { ...there, placeIds: openPlaceIds(there.dirs.own) };
    assert.notEqual(await opened(next, id ?? '', 'web1/disk.raw'), undefined);
  });

  test('a place gets no id from a proof file of another migration', async (t) => {
    const there = await destination(t);
    const other = proofFile('m-bbbbbbbb');
    await writeProof(path.join(there.root, 'payroll'), other);
    const asked = { places: [proofPlace.parse({ directory: 'payroll', file: other })] };
    const { places } = await answerStorage(there, ADMITTED, asked);
    assert.equal(places[0]?.pool, undefined);
    assert.match(places[0]?.problem ?? '', /no proof of this migration/);
  });

  test('a place cannot be a file that looks like a proof', () => {
    for (const each of ['.godwit-m-aaaaaaaa', 'payroll/.godwit-m-aaaaaaaa', '.godwit-x/disk.raw']) {
      const named = place.safeParse({ node: 'top', pool: '0'.repeat(16), path: each });
      assert.equal(named.success, false, each);
    }
    const fine = { node: 'top', pool: '0'.repeat(16), path: '.godwits/disk.raw' };
    assert.equal(place.safeParse(fine).success, true);
  });

  test('a place is created only if this host chose it', async (t) => {
    const there = await destination(t);
    const { pool, placeIds } = there;
    const file = 'web1/new.raw';
    const ask = (id: string, at: string) =>
      withOwnPlaces(there, preparation({ copies: [{ node: 'top', pool: id, path: at }] }), true);
    const own = await ask(placeIds.made(pool.id, file), file);
    assert.deepEqual(own.copies, [{ node: 'top', pool: pool.id, path: file }]);
    for (const [id, at] of [
      [pool.id, file],
      [placeIds.made(pool.id, file), 'payroll/new.raw'],
      [placeIds.proved(pool.id, 'web1'), file],
      [there.others.made(pool.id, file), file],
    ] as const) {
      await assert.rejects(ask(id, at), (error) => hasCode(error, 'GODWIT_DISK_PLACE'));
    }
  });
});

describe('the hypervisor that was started at the destination', () => {
  /** Started with the image of a place; `change` happens to its path before it opens the image, or after. */
  async function started(t: TestContext, change: (file: string) => void, isBefore: boolean) {
    const there = await destination(t);
    const file = path.join(there.root, 'web1/disk.raw');
    const asked = {
      node: 'top',
      pool: await prove(there, 'web1'),
      path: 'web1/disk.raw',
      inode: String(statSync(file).ino),
    };
    const own = await withOwnPlaces(there, preparation({ places: [place.parse(asked)] }), true);
    const files = await filesToOpen(there, own);
    if (isBefore) change(file);
    const child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', openSync(file, 'r+')] });
    await once(child, 'spawn');
    t.after(() => child.kill('SIGKILL'));
    if (!isBefore) change(file);
    const opened = (given: ReadonlyMap<string, string>) =>
      identifyOpen(
        child.pid ?? 0,
        [...given].map(([node, at]) => ({ node, device: node, file: at })),
      );
    return mustHaveOpened({ opened }, own, files, AbortSignal.timeout(20_000));
  }
  const replace = (file: string): void => {
    writeFileSync(`${file}.new`, 'another');
    renameSync(`${file}.new`, file);
  };

  test('the destination hypervisor has opened the file that the guest has open at its source', (t) =>
    started(t, () => undefined, true));

  test('the destination hypervisor is ended if another file came to the path around its open', async (t) => {
    await assert.rejects(started(t, replace, true), {
      code: 'GODWIT_DISK_REPLACED',
      message: /not the file that the guest has open at its source/,
    });
    await assert.rejects(started(t, replace, false), {
      code: 'GODWIT_DISK_REPLACED',
      message: /not the file that its hypervisor has opened/,
    });
  });
});

describe('the place of a block device', () => {
  test("a block device's place opens the device that was proved, and none with its name later", async (t) => {
    const there = await destination(t);
    const top = tempDir(t);
    const devices = path.join(top, 'devices');
    mkdirSync(devices);
    const content = randomBytes(1024 ** 2);
    const proved = await loopOf(t, path.join(top, 'one'), content);
    const other = proved && (await loopOf(t, path.join(top, 'two'), content));
    if (proved === undefined || other === undefined) return;
    const config = { ...there.config, storage: [{ devices }] };
    const host = { ...there, config };
    const [pool] = await openDevicePools(config.storage);
    assert.ok(pool !== undefined);
    const name = path.join(devices, 'lun');
    symlinkSync(proved, name);
    const id = there.placeIds.device(pool.id, 'lun', (await stampOf(pool, 'lun')) ?? '');
    assert.deepEqual(await opened(host, id, 'lun'), [proved]);
    const asked = preparation({ places: [{ node: 'top', pool: id, path: 'lun' }] });
    const own = await withOwnPlaces(host, asked, true);
    rmSync(name);
    symlinkSync(other, name);
    assert.equal(await opened(host, id, 'lun'), undefined);
    await assert.rejects(filesToOpen(host, own), (error) => hasCode(error, 'GODWIT_DISK_MISSING'));
    // The same number with something else behind it.
    rmSync(name);
    symlinkSync(proved, name);
    assert.deepEqual(await opened(host, id, 'lun'), [proved]);
    execFileSync('losetup', ['--detach', proved]);
    execFileSync('losetup', [proved, path.join(top, 'two')]);
    assert.equal(await opened(host, id, 'lun'), undefined);
    await assert.rejects(filesToOpen(host, own), (error) => hasCode(error, 'GODWIT_DISK_MISSING'));
  });

  test('a block device is identified by this host, never by the source', async (t) => {
    const there = await destination(t);
    const id = await prove(there, 'web1');
    const said = { node: 'top', pool: id ?? '', path: 'web1/disk.raw', device: '0'.repeat(16) };
    const own = await withOwnPlaces(there, preparation({ places: [said] }), true);
    assert.deepEqual(own.places, [{ node: 'top', pool: there.pool.id, path: 'web1/disk.raw' }]);
  });
});

describe("the key of a migration's places", () => {
  test('the key of place ids is made once, for its owner only; a torn one is made again', async (t) => {
    const { dirs, placeIds } = await destination(t);
    const file = path.join(dirs.own, 'places.key');
    assert.deepEqual(readdirSync(dirs.own), []);
    const id = placeIds.made('pool', 'disk.raw');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(openPlaceIds(dirs.own).made('pool', 'disk.raw'), id);
    assert.deepEqual(readdirSync(dirs.own), ['places.key']);
    writeFileSync(file, readFileSync(file).subarray(0, 5));
    assert.notEqual(openPlaceIds(dirs.own).made('pool', 'disk.raw'), id);
    assert.equal(readFileSync(file).length, 32);
  });
});

describe('an image found by its contents', () => {
  test('an image that was found by its contents is never one that the guest writes to', () => {
    const config = { name: 'b' };
    const { description } = preparation({});
    const written = () => refuseWrittenBackingFiles(config, description, [{ node: 'top' }]);
    assert.throws(written, (error) => hasCode(error, 'GODWIT_DISK_PLACE'));
    refuseWrittenBackingFiles(config, description, [{ node: 'base' }]);
    const [disk] = disks;
    const read = disk?.images.map((image) => ({ ...image, readOnly: true })) ?? [];
    refuseWrittenBackingFiles(config, { ...description, disks: [{ name: 'vda', images: read }] }, [
      { node: 'top' },
    ]);
  });
});
