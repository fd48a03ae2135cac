import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { BackingFileWriter } from '../../../src/disks/backing/file.ts';
import { makeNew } from '../../../src/disks/move/files.ts';
import {
  discard,
  isNamed,
  keep,
  madeNames,
  makeDirectories,
  name,
  removeDirectories,
} from '../../../src/disks/proof/made-files.ts';
import { makeEmptyFile } from '../../../src/drivers/qemu/images/make-image.ts';
import { giveFiles } from '../../../src/drivers/qemu/user/access.ts';
import { inRealDirectory } from '../../../src/system/files/real-directory.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const skip = process.getuid?.() === 0 ? false : 'only root can let others into what is not theirs';
const GROUP = 1_880_000_001;

/** Storage that another host writes to as well, and a directory of this host that is none of its business. */
function places(t: TestContext) {
  const dir = fs.realpathSync(tempDir(t));
  const own = path.join(dir, 'own');
  const guestDir = path.join(dir, 'guest');
  const vm = path.join(dir, 'pool', 'vm1');
  for (const each of [own, guestDir, vm]) fs.mkdirSync(each, { recursive: true });
  for (const file of ['secret', '.godwit-m1-0'])
    fs.writeFileSync(path.join(own, file), 'mine', { mode: 0o600 });
  for (const file of ['secret', 'kept'])
    fs.writeFileSync(path.join(vm, file), 'a disk', { mode: 0o600 });
  const made = madeNames(path.join(vm, 'secret'), 'm1', 0);
  return { dir, own, guestDir, vm, made };
}

/** All that anybody could have changed of it. */
function seen(directory: string): unknown[] {
  return fs
    .readdirSync(directory)
    .toSorted()
    .map((each) => {
      const file = path.join(directory, each);
      const { ino, mode, uid, gid, size } = fs.lstatSync(file);
      return [
        each,
        ino,
        mode,
        uid,
        gid,
        size,
        fs.lstatSync(file).isFile() && fs.readFileSync(file, 'utf8'),
      ];
    });
}

type Places = ReturnType<typeof places>;

/** What this host does, as root, to files of a guest on such storage, once it has looked at their path. */
const DEEDS: Readonly<Record<string, (at: Places) => Promise<unknown>>> = {
  'lets QEMU in': ({ guestDir, vm }) =>
    giveFiles(guestDir, [{ file: path.join(vm, 'secret'), writable: true }], GROUP),
  'makes an image': ({ vm }) => makeEmptyFile(path.join(vm, 'new'), 4096),
  'makes directories': ({ vm }) => makeDirectories([path.join(vm, 'more')]),
  'names what it made': ({ made }) =>
    name({ ...made, file: path.join(path.dirname(made.file), 'new') }),
  'takes a backing file': ({ made }) =>
    BackingFileWriter.begin({ node: 'a', bytes: 1, sha256: '', made }).then((file) => file.drop()),
  'moves a disk': ({ dir, vm }) => {
    const plan = {
      from: path.join(dir, 'own', 'secret'),
      to: path.join(vm, 'new'),
      id: 'd1',
      directories: [],
    };
    return makeNew(plan as never);
  },
};
/** The same for what is only taken away: where it is not there, there is nothing to do. */
const ENDS: Readonly<Record<string, (at: Places) => Promise<unknown>>> = {
  'keeps what it made': ({ made }) => keep(made),
  'gives up what it made': ({ made }) => discard(made),
  'looks for its name': ({ made }) => isNamed(made).then((is) => assert.equal(is, false)),
  'removes directories': ({ vm }) => removeDirectories([path.join(vm, 'empty')]),
};

describe('a directory replaced by a link', { skip }, () => {
  for (const [what, work] of [...Object.entries(DEEDS), ...Object.entries(ENDS)]) {
    test(`an operation that ${what} never follows a link out of the storage`, async (t) => {
      const all = places(t);
      fs.mkdirSync(path.join(all.own, 'empty'));
      fs.renameSync(all.vm, `${all.vm}.aside`);
      fs.symlinkSync(all.own, all.vm);
      const before = seen(all.own);
      const done = work(all);
      if (what in DEEDS) {
        // Letting in says what it could not do, with this as its reason.
        await assert.rejects(done, /a symbolic link, or what is no directory, is on the way to/);
      } else await done;
      assert.deepEqual(seen(all.own), before);
    });
  }

  test('an operation stays in the storage even if a directory alternates with a link', async (t) => {
    const { own, guestDir, vm } = places(t);
    fs.symlinkSync(own, `${vm}.link`);
    const script = `const { renameSync: mv } = require('node:fs'); const vm = process.argv[1];
      for (;;) { mv(vm, vm + '.aside'); mv(vm + '.link', vm); mv(vm, vm + '.link'); mv(vm + '.aside', vm); }`;
    const swapper = spawn(process.execPath, ['-e', script, vm], { stdio: 'ignore' });
    t.after(() => swapper.kill('SIGKILL'));
    await once(swapper, 'spawn');
    const before = seen(own);
    let [given, refused] = [0, 0];
    while (given < 20 || refused < 20) {
      await giveFiles(guestDir, [{ file: path.join(vm, 'secret'), writable: true }], GROUP).then(
        () => (given += 1),
        () => (refused += 1),
      );
      assert.deepEqual(seen(own), before);
    }
  });
});

test('a place in a directory that no link leads to is used there', async (t) => {
  const { vm } = places(t);
  const text = await inRealDirectory(path.join(vm, 'kept'), (at) =>
    fs.promises.readFile(at, 'utf8'),
  );
  assert.equal(text, 'a disk');
  await assert.rejects(
    inRealDirectory(path.join(vm, 'not', 'there'), () => Promise.resolve()),
    { code: 'ENOENT' },
  );
  assert.equal(await inRealDirectory('/tmp', (at) => Promise.resolve(at)), '/tmp');
});
