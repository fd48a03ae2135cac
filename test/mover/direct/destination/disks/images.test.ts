import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { parseAgentConfig, type AgentConfig } from '../../../../../src/config.ts';
import { openPools } from '../../../../../src/disks/proof/pools.ts';
import type { NewImage } from '../../../../../src/port/disks.ts';
import type { DestinationSession } from '../../../../../src/port/direct.ts';
import { hasCode } from '../../../../../src/errors.ts';
import { silentLog } from '../../../../../src/log.ts';
import type { DestinationState } from '../../../../../src/migration/direct/destination/destination.ts';
import {
  discardImages,
  imagesToMake,
  keepImages,
  setImagesAside,
  makeImages,
  planImages,
  type ImagePlan,
} from '../../../../../src/mover/direct/destination/disks/images.ts';
import type { DiskImage, ImagePlace } from '../../../../../src/protocol/disk.ts';
import type { Preparation } from '../../../../../src/protocol/peer/migration.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';

const ID = 'm-aaaaaaaa';
const ELSEWHERE = '0'.repeat(16);
const BYTES = 1024 ** 2;
const soon = (): AbortSignal => AbortSignal.timeout(30_000);

/** A destination with so many directories for disks. */
function host(t: TestContext, pools = 1) {
  const top = tempDir(t);
  const roots = Array.from({ length: pools }, (_, at) => path.join(top, `pool${at}`));
  for (const root of roots) mkdirSync(root);
  const storage = roots.map((root) => ({ path: root }));
  const text = { name: 'b', address: '127.0.0.1:7001', stateDir: top, storage };
  return { top, roots, config: parseAgentConfig('agent.json', JSON.stringify(text)) };
}

/** A guest whose disks `vda0`, `vda1`, ... are to be copied to these places. */
function wanted(
  copies: readonly (Partial<ImagePlace> & { path: string })[],
  image: Partial<DiskImage> = {},
): Preparation {
  const all = copies.map((copy, at) => ({ node: `vda${at}`, pool: ELSEWHERE, ...copy }));
  const disks = all.map(({ node }) => ({
    name: node,
    images: [{ node, format: 'raw', bytes: BYTES, readOnly: false, ...image }],
  }));
  return { description: { name: 'web1', driver: 'qemu', disks }, copies: all } as never;
}

const plan = (config: AgentConfig, preparation: Preparation): Promise<ImagePlan> =>
  planImages(config, preparation, soon());

async function refusalOf(config: AgentConfig, preparation: Preparation): Promise<string> {
  const { images, checks } = await plan(config, preparation);
  assert.deepEqual(images, []);
  const refused = checks.filter(({ verdict }) => verdict === 'refuse');
  assert.equal(refused.length, checks.length);
  await assert.rejects(imagesToMake(config, preparation, soon()), (error) =>
    hasCode(error, 'GODWIT_DISK_PLACE', 'GODWIT_DISK_SPACE'),
  );
  return refused.map(({ evidence }) => evidence).join('\n');
}

/** A hypervisor that makes each image as a file with its node's name in it. */
const session = (): DestinationSession =>
  ({
    disks: {
      create: async (_: unknown, images: readonly NewImage[]) => {
        for (const { node, file } of images) writeFileSync(file, node, { flag: 'wx' });
      },
    },
  }) as never;

async function made(config: AgentConfig, preparation: Preparation) {
  const images = await imagesToMake(config, preparation, soon());
  const directories = images.flatMap((image) => image.directories);
  const state = {
    admission: { id: ID, guest: 'web1' },
    preparation: { ...preparation, copies: images.map(({ place }) => place) },
    directories,
    bases: [],
    volumes: [],
    right: 'none',
  } as unknown as DestinationState;
  const making = { migration: ID, preparation, images, files: new Map<string, string>() };
  return { images, state, making };
}

describe('the place for a copy of a disk in a file', () => {
  test("a disk copy is placed in the directory with its source's name, or in the only one", async (t) => {
    const { config, roots } = host(t, 2);
    const pools = await openPools(config.storage);
    for (const [at, { id }] of pools.entries()) {
      const { images, checks } = await plan(config, wanted([{ path: 'web1/disk.raw', pool: id }]));
      assert.equal(images[0]?.file, path.join(roots[at] ?? '', 'web1/disk.raw'));
      assert.deepEqual(images[0].directories, [path.join(roots[at] ?? '', 'web1')]);
      assert.match(checks[0]?.evidence ?? '', /1 MiB will be copied to .*web1\/disk\.raw/);
    }
    const only = host(t);
    const { images } = await plan(only.config, wanted([{ path: 'disk.raw' }]));
    assert.equal(images[0]?.file, path.join(only.roots[0] ?? '', 'disk.raw'));
    assert.deepEqual(readdirSync(only.roots[0] ?? ''), [], 'the plan has made something');
  });

  test("a disk copy without a directory is refused by its disk's name", async (t) => {
    const copy = wanted([{ path: 'disk.raw' }]);
    assert.match(await refusalOf(host(t, 0).config, copy), /vda0.*names no directory/);
    assert.match(await refusalOf(host(t, 2).config, copy), /vda0.*no counterpart in `storage`/);
    const { config, roots } = host(t);
    writeFileSync(path.join(roots[0] ?? '', 'disk.raw'), 'of somebody else');
    assert.match(await refusalOf(config, copy), /vda0.*disk\.raw is there already/);
    symlinkSync('/etc', path.join(roots[0] ?? '', 'web1'));
    const behind = wanted([{ path: 'web1/disk.raw' }]);
    assert.match(await refusalOf(config, behind), /web1 is a symbolic link/);
    const both = wanted([{ path: 'disk.raw' }, { path: 'web1/x.raw' }]);
    assert.match(await refusalOf(config, both), /vda0.*\n.*vda1/);
  });

  test('disk copies are refused if they do not fit together, not by the maximum size of thin disks', async (t) => {
    const { config } = host(t);
    const huge = { bytes: 2 ** 52 };
    assert.match(await refusalOf(config, wanted([{ path: 'a' }], huge)), /vda0/);
    const thin = { ...huge, allocatedBytes: 1024 };
    const planned = await plan(config, wanted([{ path: 'a' }], thin));
    assert.equal(planned.images.length, 1);
    const [check] = planned.checks;
    assert.equal(check?.verdict, 'warn');
    assert.match(
      check?.evidence ?? '',
      /1 KiB will be copied .*; it can grow to 4 PiB, and .* are free there/,
    );
    const small = await plan(
      config,
      wanted([{ path: 'b' }], { bytes: 4096, allocatedBytes: 1024 }),
    );
    assert.equal(small.checks[0]?.verdict, 'pass');
    const context = { bytes: 2 ** 51 };
    const two = wanted([{ path: 'a' }, { path: 'web1/b' }], context);
    assert.match(await refusalOf(config, two), /vda0.*vda1|vda0.*\n.*vda1/s);
  });

  test('a disk copy is refused if it takes the room that guests with thin images need to grow', async (t) => {
    const { config } = host(t);
    const { bavail, blocks, bsize } = statfsSync(config.stateDir);
    const free = bavail * bsize;
    const usual = Math.min(2 ** 30, (blocks * bsize) / 20);
    // Other processes use the same file system: the bounds are met by half of the reserve.
    const copy = (bytes: number) => wanted([{ path: 'a' }], { bytes });
    assert.match(await refusalOf(config, copy(free - Math.floor(usual / 2))), /vda0/);
    const limits = { ...config.limits, storageReserveBytes: Math.floor(free / 2) };
    const reserved = { ...config, limits };
    assert.match(await refusalOf(reserved, copy(Math.floor(free * 0.75))), /vda0/);
    assert.equal((await plan(reserved, copy(Math.floor(free / 4)))).images.length, 1);
  });
});

describe('copies of disks in files', () => {
  const names = fc.uniqueArray(
    fc.constantFrom('a.raw', 'web1/b.raw', 'web1/c.raw', 'web1/old/d.raw', 'x/y/e.raw'),
    { minLength: 1 },
  );

  test('disk copies exist once they are made, and leave no files or directories once discarded', async (t) => {
    await fc.assert(
      fc.asyncProperty(names, async (files) => {
        const { config, roots } = host(t);
        const [root = ''] = roots;
        const preparation = wanted(files.map((file) => ({ path: file })));
        const { state, making } = await made(config, preparation);
        const where = await makeImages(session(), making, soon());
        for (const [at, file] of files.entries()) {
          assert.equal(where.get(`vda${at}`), path.join(root, file));
          assert.equal(readFileSync(path.join(root, file), 'utf8'), `vda${at}`);
        }
        await discardImages(config, state, soon());
        await discardImages(config, state, soon());
        assert.deepEqual(readdirSync(root), []);
      }),
      { numRuns: 20 },
    );
  });

  test('disk copies keep only their final names once they are kept', async (t) => {
    const { config, roots } = host(t);
    const [root = ''] = roots;
    const { state, making } = await made(config, wanted([{ path: 'web1/disk.raw' }]));
    await makeImages(session(), making, soon());
    await keepImages(config, state, silentLog, soon());
    await keepImages(config, state, silentLog, soon());
    assert.deepEqual(readdirSync(path.join(root, 'web1')), ['disk.raw']);
    // What is kept is the guest's: a late order to discard it finds nothing that is the migration's.
    await discardImages(config, state, soon());
    assert.ok(existsSync(path.join(root, 'web1/disk.raw')));
  });

  test('disk copies that are set aside stay as NAME.moved-ID, whichever file has their own name', async (t) => {
    for (const isTaken of [false, true]) {
      const { config, roots } = host(t);
      const [root = ''] = roots;
      const { state, making } = await made(config, wanted([{ path: 'disk.raw' }]));
      await makeImages(session(), making, soon());
      const file = path.join(root, 'disk.raw');
      if (isTaken) {
        rmSync(file);
        writeFileSync(file, 'of somebody else');
      }
      await setImagesAside(config, state, silentLog, soon());
      await setImagesAside(config, state, silentLog, soon());
      await discardImages(config, state, soon());
      const aside = `disk.raw.moved-${state.admission.id}`;
      assert.equal(readFileSync(path.join(root, aside), 'utf8'), 'vda0');
      assert.deepEqual(readdirSync(root), isTaken ? ['disk.raw', aside] : [aside]);
    }
  });

  test('disk copies never replace or remove a file that another program created meanwhile', async (t) => {
    const { config, roots } = host(t);
    const file = path.join(roots[0] ?? '', 'disk.raw');
    const { state, making } = await made(config, wanted([{ path: 'disk.raw' }]));
    writeFileSync(file, 'of somebody else');
    await assert.rejects(makeImages(session(), making, soon()), (error) =>
      hasCode(error, 'GODWIT_DISK_PLACE'),
    );
    await discardImages(config, state, soon());
    assert.equal(readFileSync(file, 'utf8'), 'of somebody else');
    assert.deepEqual(readdirSync(roots[0] ?? ''), ['disk.raw']);
  });

  test('disk copies need a driver that accepts disks', async (t) => {
    const { config } = host(t);
    const { making } = await made(config, wanted([{ path: 'disk.raw' }]));
    await assert.rejects(makeImages({} as DestinationSession, making, soon()), (error) =>
      hasCode(error, 'GODWIT_HOST_LACKS'),
    );
  });

  test('disk copies are discarded as far as their directory still exists', async (t) => {
    const { config, roots } = host(t);
    const { state, making } = await made(config, wanted([{ path: 'web1/disk.raw' }]));
    await makeImages(session(), making, soon());
    rmSync(roots[0] ?? '', { recursive: true });
    await discardImages(config, state, soon());
  });
});
