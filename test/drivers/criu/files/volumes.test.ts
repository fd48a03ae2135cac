import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ArrivingTrees } from '../../../../src/drivers/criu/files/arriving-trees.ts';
import { command } from '../../../../src/drivers/criu/command.ts';
import {
  fillVolume,
  makeVolumes,
  putAside,
  removeVolumes,
  whyNotThere,
} from '../../../../src/drivers/criu/files/made-volumes.ts';
import type { HostContext } from '../../../../src/drivers/criu/host/host-context.ts';
import {
  Records,
  type ContainerRecord,
  type MadeVolume,
} from '../../../../src/drivers/criu/link/records.ts';
import { lookAtVolumes } from '../../../../src/drivers/criu/files/volumes.ts';
import { ownIdentity } from '../../../../src/system/processes/process.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';
import { until } from '../../../until.ts';

let directory: string;
let records: Records;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-volumes-'));
  records = new Records(path.join(directory, 'records'));
});
afterEach(() => removeTree(directory));

/** Each from its archive. */
async function fillAll(): Promise<void> {
  for (const [index, each] of volumes().entries()) {
    const archive = path.join(directory, `volume-${index}.tar`);
    await fillVolume(runc, each, archive, AbortSignal.timeout(10_000));
  }
}

const parts = { mountsOf: undefined };
const runc = {
  run: (argv: readonly string[], options = {}) => command(argv, { host: 'b', ...options }),
} as unknown as HostContext['runc'];
const place = (name: string): string => path.join(directory, 'vols', name);

/** The record of a container that is to have them: a directory, unless its name ends by `.file`. */
async function recorded(...names: string[]): Promise<void> {
  const volumes = names.map((name) => ({
    path: place(name),
    kind: name.endsWith('.file') ? ('file' as const) : ('directory' as const),
    bytes: 0,
  }));
  const made = { netns: 'n', nics: [], overlay: false, volumes };
  await records.write('box', { token: 't', mover: ownIdentity(), memoryBytes: 1, made });
}
const made = () => records.readSync('box')?.made ?? {};
const volumes = () => records.readSync('box')?.made?.volumes ?? [];
async function recordAs(changed: (volume: MadeVolume) => MadeVolume): Promise<void> {
  const { made: before } = records.readSync('box') ?? {};
  if (before !== undefined)
    await records.change('box', { made: { ...before, volumes: volumes().map(changed) } });
}

/** Packs what is in a directory as the source does, for the volume of that number. */
function packed(from: string, index: number, ...more: string[]): void {
  const file = path.join(directory, `volume-${index}.tar`);
  execFileSync('tar', ['-C', path.join(directory, from), '-cf', file, ...more]);
}

test('volumes are created with their parent directories, and all of them are removed again', async () => {
  await recorded('db/data', 'db/etc/names.file', 'plain');
  await makeVolumes(records, 'box');
  assert.ok(volumes().every(({ ino }) => ino !== undefined));
  assert.deepEqual(await readdir(place('db')), ['data', 'etc']);
  await writeFile(path.join(place('db/data'), 'inside'), '1');
  await removeVolumes(parts, made());
  await removeVolumes(parts, made());
  assert.deepEqual((await readdir(directory)).toSorted(), ['records']);
});

test('existing files are never used and never removed', async () => {
  await mkdir(place('db/data'), { recursive: true });
  await writeFile(path.join(place('db/data'), 'precious'), '1');
  await recorded('first', 'db/data', 'last');
  assert.match(
    (await whyNotThere({ path: place('db/data'), kind: 'directory', bytes: 0 }, 0)) ?? '',
    /there already/,
  );
  await assert.rejects(makeVolumes(records, 'box'), /there already/);
  await removeVolumes(parts, made());
  assert.deepEqual(await readdir(path.join(directory, 'vols')), ['db']);
  assert.deepEqual(await readdir(place('db/data')), ['precious']);
});

test('the directories are removed, too, if the first volume could not be created', async () => {
  await mkdir(place('own'), { recursive: true });
  await recorded('own', 'new/one/data');
  await assert.rejects(makeVolumes(records, 'box'), /there already/);
  await removeVolumes(parts, made());
  assert.deepEqual(await readdir(path.join(directory, 'vols')), ['own']);
});

test("no volume is created inside another container's volume: it would be removed with that one", async () => {
  await recorded('app');
  await makeVolumes(records, 'box');
  await records.write('other', { ...(records.readSync('box') as ContainerRecord) });
  await records.forget('box');
  await recorded('app/sub');
  await assert.rejects(makeVolumes(records, 'box'), /would lie in .*a volume of other/);
  assert.deepEqual(await readdir(place('app')), []);
});

test('the root file system and the volumes are on disk before their source may be removed', async () => {
  await mkdir(path.join(directory, 'from'));
  await mkdir(path.join(directory, 'root'));
  await recorded('data');
  await makeVolumes(records, 'box');
  packed('from', 0, '.');
  execFileSync('tar', ['-C', path.join(directory, 'from'), '-cf', `${directory}/root.tar`, '.']);
  const ran: string[] = [];
  const seen = {
    run: (argv: readonly string[], options: object) => {
      ran.push([argv[0], argv.at(-1)].join(' '));
      return runc.run(argv, options);
    },
  } as HostContext['runc'];
  const where = { input: directory, root: path.join(directory, 'root'), volumes: volumes() };
  const trees = new ArrivingTrees({ runc: seen }, where, AbortSignal.timeout(10_000));
  await trees.finish(new Map());
  assert.deepEqual(
    ran.filter((each) => each.startsWith('sync')),
    [`sync ${where.root}`, `sync ${place('data')}`],
  );
  assert.equal(ran.at(-1), `sync ${place('data')}`);
  assert.match(ran[ran.indexOf(`sync ${where.root}`) - 1] ?? '', /^tar /);
});

test('a mover that dies while it creates them leaves nothing that its successor does not find', async () => {
  await recorded('one', 'two.file', 'three');
  // Recorded, and made before their inodes were.
  await mkdir(place('one'), { recursive: true });
  await writeFile(place('two.file'), '');
  await removeVolumes(parts, { ...made(), directories: [path.join(directory, 'vols')] });
  assert.deepEqual((await readdir(directory)).toSorted(), ['records']);
  await mkdir(path.join(place('one'), 'of another'), { recursive: true });
  await removeVolumes(parts, made());
  assert.deepEqual(await readdir(place('one')), ['of another']);
});

test('a volume that another program has replaced stays', async (t) => {
  await recorded('one');
  await makeVolumes(records, 'box');
  const [{ bornNs } = {}] = volumes();
  if (bornNs === undefined) return t.skip('this file system does not say when an inode was made');
  await until('its clock to move', 30_000, async () => {
    const probe = path.join(directory, 'probe');
    await writeFile(probe, '');
    const { birthtimeNs } = await lstat(probe, { bigint: true });
    await rm(probe);
    return birthtimeNs > BigInt(bornNs) ? true : undefined;
  });
  // ext4 gives a new directory the number of the one that was just removed.
  await rm(place('one'), { recursive: true });
  await mkdir(path.join(place('one'), 'precious'), { recursive: true });
  const found = await lstat(place('one'), { bigint: true });
  // Not every one does.
  await recordAs((each) => ({ ...each, ino: String(found.ino) }));
  await removeVolumes(parts, made());
  assert.deepEqual(await readdir(place('one')), ['precious']);
  packed('records', 0, '.');
  await assert.rejects(fillAll(), /not what was made for it/);
});

test('a volume of a record without a birth time is judged by its number alone', async () => {
  await recorded('one');
  await makeVolumes(records, 'box');
  await recordAs(({ bornNs: _, ...older }) => older);
  await writeFile(path.join(place('one'), 'inside'), '1');
  await removeVolumes(parts, made());
  assert.deepEqual((await readdir(directory)).toSorted(), ['records']);
});

test("a link in a volume's path is not followed, and a directory writable by others is not used", async () => {
  const outside = path.join(directory, 'outside');
  await mkdir(outside);
  await mkdir(path.join(directory, 'vols'));
  await symlink(outside, place('db'));
  const at = (name: string) => ({ path: place(name), kind: 'directory' as const, bytes: 0 });
  assert.match((await whyNotThere(at('db/data'), 0)) ?? '', /is no directory/);
  await recorded('db/data');
  await assert.rejects(makeVolumes(records, 'box'));
  await removeVolumes(parts, made());
  assert.deepEqual(await readdir(outside), []);
  await mkdir(place('open'));
  execFileSync('chmod', ['0777', place('open')]);
  assert.match((await whyNotThere(at('open/data'), 0)) ?? '', /others may write in it/);
  assert.match((await whyNotThere(at('new'), 2 ** 52)) ?? '', /it needs 4 PiB|it needs/);
});

test('volumes are filled with the received tree: kinds, modes, hard links and holes', async () => {
  const from = path.join(directory, 'from');
  await mkdir(path.join(from, 'sub'), { recursive: true });
  await writeFile(path.join(from, 'sub', 'one'), 'content', { mode: 0o600 });
  await link(path.join(from, 'sub', 'one'), path.join(from, 'two'));
  await symlink('/nowhere', path.join(from, 'link'));
  execFileSync('truncate', ['-s', '16M', path.join(from, 'holes')]);
  await writeFile(path.join(directory, 'names'), '10.0.0.1 other\n', { mode: 0o640 });
  await recorded('data', 'names.file');
  await makeVolumes(records, 'box');
  const inode = (await lstat(place('names.file'))).ino;
  packed('from', 0, '--sparse', '.');
  packed('.', 1, './names');
  await fillAll();
  assert.equal(await readFile(place('data/sub/one'), 'utf8'), 'content');
  const [one, two, holes] = await Promise.all(
    ['sub/one', 'two', 'holes'].map((each) => lstat(place(`data/${each}`))),
  );
  assert.equal(one?.ino, two?.ino);
  assert.deepEqual([holes?.size, holes?.blocks], [16 * 1024 ** 2, 0]);
  assert.ok((await lstat(place('data/link'))).isSymbolicLink());
  assert.equal(await readFile(place('names.file'), 'utf8'), '10.0.0.1 other\n');
  const names = await lstat(place('names.file'));
  assert.deepEqual([names.mode & 0o777, names.ino], [0o640, inode]);
});

test('an archive that leads out of its volume writes nothing there, and an archive of a file holds one file', async () => {
  const outside = path.join(directory, 'outside');
  await mkdir(outside);
  await mkdir(path.join(directory, 'one'));
  await mkdir(path.join(directory, 'two/out'), { recursive: true });
  await symlink(outside, path.join(directory, 'one/out'));
  await writeFile(path.join(directory, 'two/out/evil'), 'evil');
  await recorded('data', 'names.file');
  await makeVolumes(records, 'box');
  packed('one', 0, './out');
  packed('two', 1, './out/evil');
  const [first, second] = [0, 1].map((index) => path.join(directory, `volume-${index}.tar`));
  execFileSync('tar', ['-A', '-f', first ?? '', second ?? '']);
  packed('one', 1, './out');
  await assert.rejects(fillAll());
  assert.deepEqual(await readdir(outside), []);
  await removeVolumes(parts, made());
  await recorded('names.file');
  await makeVolumes(records, 'box');
  packed('one', 0, './out');
  await assert.rejects(fillAll(), /no plain file/);
  await rm(path.join(directory, 'volume-0'), { recursive: true });
  await writeFile(path.join(directory, 'two/more'), 'evil');
  packed('two', 0, './out/evil', './more');
  await assert.rejects(fillAll(), /no plain file/);
  await rm(path.join(directory, 'volume-0'), { recursive: true });
  packed('two', 0, '-C', 'out', './evil', '-C', '..', './more');
  await assert.rejects(fillAll(), /no plain file/);
  assert.equal((await lstat(place('names.file'))).size, 0);
  await rm(path.join(directory, 'volume-0'), { recursive: true });
  await rm(path.join(directory, 'volume-0.tar'));
  await assert.rejects(fillAll(), /the source sent nothing/);
});

test('the volumes that no migration created stay under another name after the container has left', async () => {
  await mkdir(place('own'), { recursive: true });
  await mkdir(place('brought'));
  await recorded('brought');
  const here = (name: string) => ({ path: place(name), kind: 'directory' as const, bytes: 0 });
  await records.change('box', { volumes: [here('own'), here('brought')] });
  await putAside(records.readSync('box'));
  await putAside(records.readSync('box'));
  assert.deepEqual(await readdir(path.join(directory, 'vols')), ['brought', 'own.moved-t']);
});

test('a volume with a subvolume in it is refused: it would be left behind', async () => {
  const source = place('data');
  await mkdir(path.join(source, 'sub'), { recursive: true });
  const bind = { destination: '/data', source, dir: place(''), name: 'data', options: [] };
  const reasons = async (devices: string | undefined): Promise<string[]> => {
    const run = (argv: readonly string[], options = {}): Promise<string> =>
      devices !== undefined && argv.join(' ').includes('find ')
        ? Promise.resolve(devices)
        : command(argv, { host: 'a', ...options });
    const at = { ...parts, runc: { run } } as unknown as HostContext;
    const binds = [bind];
    const looked = await lookAtVolumes(
      at,
      binds,
      { processes: [], all: [] },
      AbortSignal.timeout(10_000),
    );
    return looked.obstacles.map(({ reason }) => reason);
  };
  assert.deepEqual(await reasons(undefined), []);
  assert.deepEqual(await reasons('2\n'), [`a subvolume of its file system lies in ${source}`]);
});
