import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

const root = path.resolve(import.meta.dirname, '../..');

interface ProcessResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe('./godwit', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'godwit-wrapper-'));
  });
  after(() => rm(folder, { recursive: true }));

  function start(
    program: string,
    args: readonly string[],
    env: Record<string, string> = {},
  ): Promise<ProcessResult> {
    return new Promise((resolve) => {
      const { NODE_COMPILE_CACHE: _, ...own } = process.env;
      const options = {
        cwd: folder,
        env: { ...own, XDG_CACHE_HOME: path.join(folder, 'cache'), ...env },
      };
      const child = execFile(program, args, options, (_error, stdout, stderr) => {
        resolve({ status: child.exitCode ?? -1, stdout, stderr });
      });
    });
  }

  test('the wrapper runs from any folder and through a chain of links', async () => {
    const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
    await symlink(path.join(root, 'godwit'), path.join(folder, 'first'));
    await mkdir(path.join(folder, 'bin'));
    await symlink('../first', path.join(folder, 'bin/godwit'));
    const { status, stdout, stderr } = await start(path.join(folder, 'bin/godwit'), ['--version']);
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: `${version}\n`, stderr: '' });
  });

  test("the wrapper keeps compiled code in the user's cache, by version", async () => {
    await start(path.join(root, 'godwit'), ['version']);
    const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
    assert.deepEqual(await readdir(path.join(folder, 'cache/godwit')), [`compile-${version}`]);
  });

  test('the wrapper keeps the words of the command line unchanged', async () => {
    const { status, stderr } = await start(path.join(root, 'godwit'), ['a b', "c'd"]);
    assert.equal(status, 2);
    assert.match(stderr, /no verb "a b"/);
  });

  test("the wrapper has the lab's verbs in a clone, and the packaged program lacks them", async () => {
    const inClone = await start(path.join(root, 'godwit'), ['lab', '--help']);
    assert.match(inClone.stdout, /up .*build a lab/);
    const program = path.join(root, 'src/bin/godwit.ts');
    const { status, stderr } = await start(process.execPath, [program, 'lab', 'up']);
    assert.equal(status, 2);
    assert.match(stderr, /godwit has no verb "lab"/);
  });

  test('the wrapper names the command to run when the clone is not set up', async () => {
    const clone = path.join(folder, 'clone');
    await mkdir(clone);
    await copyFile(path.join(root, 'godwit'), path.join(clone, 'godwit'));
    const { status, stderr } = await start(path.join(clone, 'godwit'), ['hosts']);
    assert.equal(status, 4);
    assert.match(stderr, /^error: .*node_modules.*\nhint: run `npm run setup` in /);
  });

  describe('in a package whose Node npm did not bring', () => {
    const NODE = '#!/bin/sh\n[ "$1" != --version ] || exec echo $VERSION\necho "ran $2"\n';

    async function startInPackage(version: string): Promise<ProcessResult> {
      const place = path.join(folder, `package-${version}`);
      await mkdir(path.join(place, 'dist/bin'), { recursive: true });
      await mkdir(path.join(place, 'bin'));
      await copyFile(path.join(root, 'godwit'), path.join(place, 'godwit'));
      await copyFile(path.join(root, 'package.json'), path.join(place, 'package.json'));
      await writeFile(path.join(place, 'dist/bin/godwit.js'), '');
      await writeFile(path.join(place, 'bin/node'), NODE, { mode: 0o755 });
      const PATH = `${place}/bin:/usr/bin:/bin`;
      return start(path.join(place, 'godwit'), ['hosts'], { PATH, VERSION: version });
    }

    test("the built program runs with the machine's Node if that is new enough", async () => {
      const { status, stdout } = await startInPackage('v27.1.0');
      assert.equal(status, 0);
      assert.match(stdout, /^ran .*package-v27\.1\.0\/dist\/bin\/godwit\.js$/m);
    });

    for (const version of ['v20.20.2', 'v9.9.9', 'nonsense']) {
      test(`the program refuses a Node that reports version ${version}`, async () => {
        const { status, stderr } = await startInPackage(version);
        assert.equal(status, 4);
        assert.match(
          stderr,
          /^error: Godwit needs Node 26 or newer.*\nhint: run `npm rebuild node/,
        );
        assert.ok(stderr.includes(version));
      });
    }
  });
});
