import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rename, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import {
  ownVolumes,
  placesOf,
  putAside,
  removeVolumes,
} from '../../../../src/drivers/criu/files/made-volumes.ts';
import type { HostContext } from '../../../../src/drivers/criu/host/host-context.ts';
import { Records, type ContainerRecord } from '../../../../src/drivers/criu/link/records.ts';
import {
  checkShared,
  placesByNumber,
  sharedHere,
  sharedIn,
  whyNotMounted,
  withShared,
  writeOut,
} from '../../../../src/drivers/criu/files/shared-volumes.ts';
import { treesOf, volumeName } from '../../../../src/drivers/criu/files/trees.ts';
import type { Volume } from '../../../../src/drivers/criu/files/volume-names.ts';
import { ownIdentity } from '../../../../src/system/processes/process.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';

let directory: string;
let records: Records;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-shared-'));
  records = new Records(path.join(directory, 'records'));
  await mkdir(path.join(directory, 'records'));
  await mkdir(path.join(directory, 'vols', 'db', 'data'), { recursive: true });
});
afterEach(() => removeTree(directory));

const HERE = { prefix: '' };
const at = (...parts: string[]): string => path.join(directory, 'vols', ...parts);
const volumeOf = (name: string, kind: Volume['kind'] = 'directory'): Volume => {
  return { dir: at(), name, kind, bytes: 10 };
};
const soon = (): AbortSignal => AbortSignal.timeout(10_000);

function host(volumeDirs: string[], listed: readonly { id: string; pid: number }[] = []) {
  const runc = { list: async () => listed };
  return { volumeDirs, records, mountsOf: undefined, prefix: '', runc } as unknown as HostContext;
}

test('each volume of a container is either sent to a separate place or stays in place', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 32 }), (stays) => {
      const volumes = stays.map((_, index) => volumeOf(`v${index}`));
      const files = new Map(
        stays.flatMap((one, index) => (one ? [[volumeName(index), `/x/${index}`] as const] : [])),
      );
      const shared = sharedIn(files, volumes);
      const places = placesOf(volumes, ['/own'], shared) ?? [];
      const here = volumes.map(({ name, kind, bytes }) => ({ path: at(name), kind, bytes }));
      const sent = treesOf({ upper: '/u' }, withShared(here, [...files.keys()]), 0).slice(1);
      // What the source sends is what the destination made a place for, by the same numbers.
      assert.deepEqual(
        sent.map(({ name }) => name),
        places.map(({ index }) => volumeName(index ?? -1)),
      );
      const made = { netns: 'n', nics: [], overlay: false, volumes: places };
      const own = [...shared].map(([index, file]) => {
        return { index, path: file, kind: 'directory' as const, at: '1:1' };
      });
      const all = placesByNumber({ ...made, shared: own }, volumes);
      assert.deepEqual(
        all,
        stays.map((one, index) => (one ? `/x/${index}` : `/own/v${index}`)),
      );
    }),
  );
});

test('a place that is not a volume of the container is ignored', () => {
  const files = new Map([
    ['volume-0', '/x/0'],
    ['volume-7', '/x/7'],
    ['drive0', '/x/disk'],
  ]);
  assert.deepEqual([...sharedIn(files, [volumeOf('db')])], [[0, '/x/0']]);
  assert.equal(sharedIn(undefined, [volumeOf('db')]).size, 0);
});

test('a replacement that took the place of a volume is not mounted', async () => {
  const volumes = [volumeOf('db/data')];
  const shared = await sharedHere(HERE, volumes, new Map([[0, at('db', 'data')]]));
  await checkShared(HERE, shared);
  await writeFile(at('db', 'data', 'more'), 'x');
  await checkShared(HERE, shared);
  await rename(at('db', 'data'), at('db', 'old'));
  await mkdir(at('db', 'data'));
  await assert.rejects(checkShared(HERE, shared), /is not the volume any more that both hosts saw/);
  await assert.rejects(sharedHere(HERE, volumes, new Map([[0, at('db', 'none')]])), /any more/);
});

test('a volume is refused outside of the volume directories, of another kind, or if another container has it', async () => {
  const why = (volume: Volume, context = host([at()]), file = path.join(volume.dir, volume.name)) =>
    whyNotMounted(context, volume, file, { guest: 'box', signal: soon() });
  assert.equal(await why(volumeOf('db/data')), undefined);
  assert.match((await why(volumeOf('db/data'), host(['/elsewhere']))) ?? '', /below no directory/);
  assert.match((await why(volumeOf('db/data', 'file'))) ?? '', /is no file there/);
  assert.match((await why(volumeOf('db/gone'))) ?? '', /is no directory there/);
  const made = { netns: 'n', nics: [], overlay: false };
  const shared = [{ index: 0, path: at('db'), kind: 'directory' as const, at: '1:1' }];
  const other = { token: 't', mover: ownIdentity(), memoryBytes: 1, made: { ...made, shared } };
  await records.write('other', other);
  assert.match((await why(volumeOf('db/data'))) ?? '', /a volume of other/);
});

test('the volume of a container that has left stays, whoever created it, and is not renamed', async () => {
  const kept = at('db', 'data');
  const brought = at('db', 'brought');
  await mkdir(brought);
  await writeFile(path.join(kept, 'row'), '1');
  const bare = { kind: 'directory' as const, bytes: 0 };
  // An earlier migration had brought it here by a copy; now the other host mounts it.
  const made = {
    netns: 'n',
    nics: [],
    overlay: false,
    volumes: [
      { ...bare, path: kept, ino: '1' },
      { ...bare, path: brought },
    ],
  };
  const volumes = withShared(
    [
      { ...bare, path: kept },
      { ...bare, path: brought },
    ],
    ['volume-0'],
  );
  const record: ContainerRecord = {
    token: 't',
    mover: ownIdentity(),
    memoryBytes: 1,
    made,
    volumes,
  };
  assert.deepEqual(
    ownVolumes(record)?.volumes?.map((each) => each.path),
    [brought],
  );
  await putAside({ ...record, made: undefined });
  await removeVolumes({ mountsOf: undefined }, ownVolumes(record) ?? {});
  assert.deepEqual(await readdir(kept), ['row']);
});

test('written data is on the storage before the other host reads it, and no other data is waited for', async () => {
  const asked: string[][] = [];
  const runc = {
    run: async (argv: readonly string[]) => {
      asked.push([...argv]);
      return '';
    },
  };
  const bare = { kind: 'directory' as const, bytes: 0 };
  const volumes = withShared(
    [
      { ...bare, path: '/v/0' },
      { ...bare, path: '/v/1' },
    ],
    ['volume-1'],
  );
  await writeOut({ runc }, volumes, soon());
  assert.deepEqual(asked, [['sync', '-f', '--', '/v/1']]);
});
