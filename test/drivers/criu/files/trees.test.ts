import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFile,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { duplexPair } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ArrivingTrees } from '../../../../src/drivers/criu/files/arriving-trees.ts';
import { digestOf, scanTree } from '../../../../src/drivers/criu/changes.ts';
import { command } from '../../../../src/drivers/criu/command.ts';
import { KINDS } from '../../../../src/drivers/criu/link/frames.ts';
import type { HostContext } from '../../../../src/drivers/criu/host/host-context.ts';
import { PageReceiver } from '../../../../src/drivers/criu/link/receiver.ts';
import { PageSender } from '../../../../src/drivers/criu/link/sender.ts';
import { applyChanges, TreeSender } from '../../../../src/drivers/criu/files/trees.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';
import { until } from '../../../until.ts';

const skip = process.getuid?.() === 0 ? false : 'mounts for a program of its own need root';
const MAX = 256 * 1024 ** 2;
const runc = {
  run: (argv: readonly string[], options = {}) => command(argv, { host: 'b', ...options }),
} as unknown as HostContext['runc'];

describe('trees sent in parts', { skip }, () => {
  let directory: string;
  const at = (...parts: string[]): string => path.join(directory, ...parts);
  const run = (...argv: [string, ...string[]]): void => void execFileSync(argv[0], argv.slice(1));
  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-trees-'));
    for (const each of ['from', 'into', 'out', 'in/images', 'outside']) {
      await mkdir(at(each), { recursive: true });
    }
  });
  afterEach(() => removeTree(directory));

  /** Sends `from` to `into`, with `meanwhile` between the two looks at it; the bytes of the second. */
  async function sent(meanwhile: () => Promise<void>, packs = runc): Promise<number> {
    const [near, far] = duplexPair();
    const { signal } = new AbortController();
    const input = at('in');
    const trees = new ArrivingTrees({ runc }, { input, root: at('into'), volumes: [] }, signal);
    const receiver = new PageReceiver(input, 'box', MAX, (tree) => trees.base(tree));
    const taken = receiver.take(far);
    taken.catch(() => {});
    const sender = new PageSender(near, false);
    const tree = { name: 'root', path: at('from'), kind: 'directory', bytes: 0 } as const;
    const sending = { runc: packs, sender, directory: at('out'), signal };
    const out = new TreeSender(sending, [tree]);
    await sender.send(KINDS.hello, { version: 1, guest: 'box' });
    await sender.heard(KINDS.ready, AbortSignal.timeout(5000));
    assert.ok(sender.takesChanges);
    await out.first();
    await meanwhile();
    const { sentBytes } = sender;
    await out.last();
    await sender.send(KINDS.done);
    await taken;
    await trees.finish(receiver.digests);
    sender.close();
    return sender.sentBytes - sentBytes;
  }

  /** The content too. */
  async function same(): Promise<void> {
    const { signal } = new AbortController();
    const [from, into] = await Promise.all(
      ['from', 'into'].map((each) => scanTree(at(each), signal)),
    );
    assert.ok(from && into);
    assert.deepEqual([...into.keys()].toSorted(), [...from.keys()].toSorted());
    assert.equal(digestOf(into), digestOf(from));
    run('diff', '-r', '--no-dereference', at('from'), at('into'));
  }

  test('a tree is the same in the end if names come and go between the first look and its archive', async () => {
    await mkdir(at('from/logs'));
    await writeFile(at('from/logs/one'), '1');
    const names = ['new', 'a b', 'a\nline', 'back\\slash', 'ümläut', '\\n', 'tab\t', '\\134'];
    /** Of a program that writes a file and renames or removes it. */
    const packs = {
      run: async (argv: readonly string[], options = {}) => {
        if (argv[0] === 'tar' && argv.includes('.')) {
          for (const name of names) await writeFile(at('from/logs', name), name);
          execFileSync('sh', ['-c', String.raw`printf x > "$(printf 'byte-\377')"`], {
            cwd: at('from'),
          });
          await mkdir(at('from/turns/deep'), { recursive: true });
          await mkdir(at('from/stays/deep'), { recursive: true });
          await writeFile(at('from/stays/deep/file'), 'kept');
        }
        return command(argv, { host: 'a', ...options });
      },
    } as unknown as HostContext['runc'];
    await sent(async () => {
      for (const name of names) await rm(at('from/logs', name));
      execFileSync('sh', ['-c', 'rm byte-*'], { cwd: at('from') });
      await rm(at('from/turns'), { recursive: true });
      await writeFile(at('from/turns'), 'a file now');
    }, packs);
    await same();
    assert.deepEqual(await readdir(at('out')), []);
  });

  test('a tree is the same in the end, and unchanged parts are not sent again', async () => {
    await mkdir(at('from/kept'));
    await writeFile(at('from/kept/large'), Buffer.alloc(4 * 1024 ** 2, 'x'));
    await writeFile(at('from/log'), 'one\n');
    for (const name of ['dropped', 'renamed', 'becomes']) {
      await mkdir(at('from', name, 'deep'), { recursive: true });
      await writeFile(at('from', name, 'deep/file'), name);
    }
    await writeFile(at('from/one'), 'linked');
    await link(at('from/one'), at('from/two'));
    await writeFile(at('from', 'a name\nwith a line'), '1');
    execFileSync('sh', ['-c', String.raw`printf x > "$(printf 'not-utf8-\377')"`], {
      cwd: at('from'),
    });
    // Older than what a first look may have missed.
    const { ctimeMs } = await lstat(at('from'));
    await until('the tree to be older', 5000, async () =>
      Date.now() - ctimeMs > 1100 ? true : undefined,
    );
    const bytes = await sent(async () => {
      await appendFile(at('from/log'), 'x'.repeat(3000));
      await rm(at('from/dropped'), { recursive: true });
      await rename(at('from/renamed'), at('from/moved'));
      await rm(at('from/becomes'), { recursive: true });
      await symlink('/nowhere', at('from/becomes'));
      await link(at('from/one'), at('from/three'));
      await writeFile(at('from', 'another\nline'), '2');
      await mkdir(at('from/new/below'), { recursive: true });
      run('chmod', '0700', at('from/kept'));
      run('chown', '1234:4321', at('from/one'));
      run('truncate', '-s', '64M', at('from/holes'));
    });
    await same();
    assert.ok(bytes < 200_000, `${bytes} bytes`);
    const [one, three, holes] = await Promise.all(
      ['one', 'three', 'holes'].map((each) => lstat(at('into', each))),
    );
    assert.deepEqual([one?.nlink, one?.ino, holes?.blocks], [3, three?.ino, 0]);
  });

  test('a tree is the same if nothing changed, or if all of it is gone', async () => {
    await writeFile(at('from/file'), '1');
    await sent(async () => {});
    await same();
    await rm(at('into'), { recursive: true });
    await mkdir(at('into'));
    await sent(() => rm(at('from/file')));
    await same();
  });

  test("a tree is refused if it differs from the source's description", async () => {
    await writeFile(at('in/root.gone'), '');
    run('tar', '-cf', at('in/root.changed.tar'), '-T', '/dev/null');
    const from = { input: at('in'), name: 'root', digest: 'f'.repeat(64) };
    const into = { into: at('into'), bytes: 0 };
    const signal = AbortSignal.timeout(10_000);
    await assert.rejects(applyChanges(runc, from, into, signal), /not what it is at the source/);
  });

  test('a tree follows no link out of itself, neither to write nor to remove', async () => {
    await writeFile(at('outside/precious'), '1');
    await mkdir(at('evil/out'), { recursive: true });
    await writeFile(at('evil/out/planted'), 'evil');
    for (const target of [at('outside'), '../outside', '/in', '/usr']) {
      await symlink(target, at('into/out'));
      run('tar', '-C', at('evil'), '-cf', at('in/root.changed.tar'), './out/planted');
      await writeFile(at('in/root.gone'), './out/precious\0../outside\0');
      const from = { input: at('in'), name: 'root', digest: 'f'.repeat(64) };
      const into = { into: at('into'), bytes: 0 };
      await assert.rejects(applyChanges(runc, from, into, AbortSignal.timeout(10_000)));
      assert.deepEqual(await readdir(at('outside')), ['precious'], target);
      assert.equal(await readFile(at('outside/precious'), 'utf8'), '1');
      await rm(at('into'), { recursive: true });
      await mkdir(at('into'));
    }
    assert.ok(!(await readdir('/usr')).includes('planted'));
  });
});
