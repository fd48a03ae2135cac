import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { command } from '../../../../src/drivers/criu/command.ts';
import { openLease, untilWritten } from '../../../../src/drivers/criu/podman/lease.ts';
import {
  destinationScript,
  quoted,
  runtimeConf,
  saidIn,
  sourceScript,
} from '../../../../src/drivers/criu/podman/stand-in.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';

const RUNTIME = '#!/bin/sh\nprintf "%s\\n" "$HOME" "$@"\n';
const run = (argv: readonly string[]): Promise<string> => command(argv, { host: 'a' });

/** A directory with a runtime that prints its home and its arguments. */
async function folder(t: TestContext): Promise<(file: string) => string> {
  const made = await mkdtemp(path.join(os.tmpdir(), "godwit stand-in's "));
  t.after(() => removeTree(made));
  await mkdir(path.join(made, 'bin'));
  await writeFile(path.join(made, 'bin', 'runc'), RUNTIME, { mode: 0o700 });
  return (file) => path.join(made, file);
}

test('the stand-in of the source empties the directory of images and dumps nothing', async (t) => {
  const at = await folder(t);
  await writeFile(at('oci'), sourceScript({ runtime: 'runc', programs: at('bin') }), {
    mode: 0o700,
  });
  await mkdir(at('images'));
  await writeFile(at('images/pages-1.img'), 'of an earlier dump');
  await run([at('oci'), 'checkpoint', '--image-path', at('images'), '--leave-running', 'id']);
  assert.deepEqual(await readdir(at('images')), ['inventory.img']);
  assert.equal(await readFile(at('images/inventory.img'), 'utf8'), '');
});

test('each other call goes to the runtime with unchanged arguments', async (t) => {
  const at = await folder(t);
  const given = { runtime: 'runc', programs: at('bin') } as const;
  await writeFile(at('source'), sourceScript(given), { mode: 0o700 });
  const rest = { said: at('said'), lease: at('lease'), images: at('images'), home: at('home') };
  await writeFile(at('destination'), destinationScript({ ...given, ...rest }), { mode: 0o700 });
  const calls = [
    ['--log', 'a b', 'checkpoint', '--help'],
    ['restore', '--lsm-mount-context'],
    ['state', "it's"],
  ];
  for (const script of ['source', 'destination']) {
    for (const call of calls) {
      const [, ...args] = (await run([at(script), ...call])).trimEnd().split('\n');
      assert.deepEqual(args, call);
    }
  }
});

async function restoring(t: TestContext, isLate = false) {
  const at = await folder(t);
  const own = { said: at('said'), lease: at('lease'), images: at('images'), home: at('home') };
  const script = destinationScript({ runtime: 'runc', programs: at('bin'), ...own });
  await writeFile(at('oci'), script, { mode: 0o700 });
  const lease = await openLease(run, at('lease'));
  t.after(() => lease.close());
  if (isLate) await lease.close();
  const args = [
    '--root',
    '/r',
    'restore',
    '--bundle',
    '/b',
    '--image-path',
    '/i',
    '--work-path',
    '/w',
    'id',
  ];
  const child = spawn(at('oci'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text));
  const ended = once(child, 'close').then(([status]) => status as number);
  const said = saidIn(await untilWritten(at('said'), AbortSignal.timeout(10_000)));
  return { at, lease, child, ended, said, texts };
}

test("the stand-in of the destination waits, then becomes the runtime with Godwit's images and settings", async (t) => {
  const { at, lease, child, ended, said, texts } = await restoring(t);
  assert.deepEqual(said, { pid: child.pid, bundle: '/b' });
  assert.equal(texts.stdout, '');
  await lease.write('go\n');
  assert.equal(await ended, 0);
  const [home, ...args] = texts.stdout.trimEnd().split('\n');
  assert.equal(home, at('home'));
  const images = at('images');
  assert.deepEqual(args, [
    '--root',
    '/r',
    'restore',
    '--bundle',
    '/b',
    '--image-path',
    images,
    '--work-path',
    images,
    'id',
  ]);
});

test('the stand-in ends without a restore once its mover releases the lease', async (t) => {
  const { lease, ended, texts } = await restoring(t);
  await lease.close();
  assert.equal(await ended, 1);
  assert.equal(texts.stdout, '');
  assert.match(texts.stderr, /Godwit takes the restore back/);
});

test('a stand-in that podman calls after its mover released the lease ends at once', async (t) => {
  const { ended, texts } = await restoring(t, true);
  assert.equal(await ended, 1);
  assert.equal(texts.stdout, '');
});

test('the output of a stand-in is read completely or not at all', () => {
  assert.deepEqual(saidIn('7\nrestore\n-b\n/x y\nid\n'), { pid: 7, bundle: '/x y' });
  for (const text of [
    '',
    'x\n--bundle\n/b\n',
    '7\nrestore\n',
    '7\n--bundle\nb\n',
    '-1\n--bundle\n/b\n',
  ])
    assert.equal(saidIn(text), undefined);
});

test('paths with quotes stay one word', async () => {
  const word = `a 'b' "c" $d`;
  assert.equal(await run(['sh', '-c', `printf %s ${quoted(word)}`]), word);
  assert.equal(runtimeConf('crun', '/a "b"'), '[engine.runtimes]\ncrun = ["/a \\"b\\""]\n');
});
