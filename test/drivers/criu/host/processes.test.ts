import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { promises } from 'node:fs';
import { mkdir, mkdtemp, symlink } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { runningIn } from '../../../../src/drivers/criu/host/processes.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';

/** A process that has `pager.ts` among its words, and says that it runs. */
const PROGRAM = ['sh', '-c', 'echo runs; read word', 'pager.ts'] as const;
const skip = process.getuid?.() === 0 ? false : 'only root mounts';

async function running(t: TestContext, argv: readonly string[], cwd: string): Promise<number> {
  const [program = '', ...words] = argv;
  const child = spawn(program, words, { cwd, stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(path.join(os.tmpdir(), 'godwit-running-'));
  t.after(() => removeTree(made));
  return made;
}

test('a program is found in its working directory, by whatever path it is named', async (t) => {
  const made = await folder(t);
  const [images, other] = [path.join(made, 'images'), path.join(made, 'other')];
  for (const each of [images, other]) await mkdir(each);
  await symlink(images, path.join(made, 'link'));
  const pid = await running(t, PROGRAM, images);
  await running(t, PROGRAM, other);
  await running(t, ['sh', '-c', 'echo runs; read word', 'another.ts'], images);
  for (const each of [images, path.join(made, 'link')]) {
    const found = await runningIn(each, '/somewhere/pager.ts');
    assert.deepEqual(
      found.map((one) => one.pid),
      [pid],
    );
  }
  assert.deepEqual(await runningIn(path.join(made, 'missing'), 'pager.ts'), []);
});

test('the storage of another directory, which may not answer, is not asked', async (t) => {
  const made = await folder(t);
  const [images, other] = [path.join(made, 'images'), path.join(made, 'other')];
  for (const each of [images, other]) await mkdir(each);
  const [pid, there] = [await running(t, PROGRAM, images), await running(t, PROGRAM, other)];
  const asked: string[] = [];
  const { stat } = promises;
  const watched = (...[file, options]: Parameters<typeof stat>): ReturnType<typeof stat> => {
    asked.push(String(file));
    return stat(file, options);
  };
  t.mock.method(promises, 'stat', watched);
  syncBuiltinESMExports();
  t.after(() => {
    promises.stat = stat;
    syncBuiltinESMExports();
  });
  await runningIn(images, 'pager.ts');
  assert.ok(asked.includes(`/proc/${pid}/cwd`));
  assert.ok(!asked.includes(`/proc/${there}/cwd`));
});

test(
  'a program in a container with another directory at that path is skipped',
  { skip },
  async (t) => {
    const made = await folder(t);
    const [images, other] = [path.join(made, 'images'), path.join(made, 'other')];
    for (const each of [images, other]) await mkdir(each);
    const script =
      'mount --bind "$0" "$1" && cd "$1" && exec sh -c "echo runs; read word" pager.ts';
    await running(t, ['unshare', '-m', 'sh', '-c', script, other, images], '/');
    assert.deepEqual(await runningIn(images, 'pager.ts'), []);
  },
);
