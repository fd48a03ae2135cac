import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { holdMigration, type LockedSide } from '../../../src/host/journal/migration-lock.ts';

const busy = { code: 'GODWIT_INTERNAL', message: /another mover already works on the source/ };
const LOCK = new URL('../../../src/host/journal/migration-lock.ts', import.meta.url).href;

/** Takes the lock, says what came of it, and stays. */
const HOLDER = `
  const { holdMigration } = await import(${JSON.stringify(LOCK)});
  const said = (line) => process.stdout.write(line + '\\n');
  said('begins');
  await holdMigration(JSON.parse(process.argv[1])).then(() => said('holds'), () => said('refused'));
  setInterval(() => {}, 1000);
`;
/** Holds a name among abstract sockets, as movers of earlier builds do. */
const EARLIER = `
  require('node:net').createServer().listen('\\0' + process.argv[1], () => console.log('holds'));
`;

function scene(t: TestContext): LockedSide {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return { dir, host: 'a', id: `m-${path.basename(dir)}`, side: 'source' };
}

function started(t: TestContext, args: readonly string[], options: object = {}): ChildProcess {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'ignore'],
    ...options,
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

function holder(t: TestContext, locked: LockedSide): ChildProcess {
  return started(t, ['--input-type=module', '-e', HOLDER, JSON.stringify(locked)]);
}

/** What it says after `begins`; undefined where it ends before. */
async function result(child: ChildProcess): Promise<string | undefined> {
  let text = '';
  for await (const piece of child.stdout ?? []) {
    text += String(piece);
    const found = /(holds|refused)\n/.exec(text);
    if (found !== null) return found[1];
  }
  return undefined;
}

async function ended(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

describe('the lock on one side of a migration', () => {
  test('the lock of a migration is held once at a time for each side, and is free when released', async (t) => {
    const locked = scene(t);
    const held = await holdMigration(locked);
    await assert.rejects(holdMigration(locked), busy);
    const other = await holdMigration({ ...locked, side: 'destination' });
    held.release();
    (await holdMigration(locked)).release();
    other.release();
    const file = path.join(locked.dir, 'mover-source.lock');
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  test('one of several simultaneous starts gets the lock, and another one when that is killed', async (t) => {
    const locked = scene(t);
    for (let round = 0; round < 3; round += 1) {
      const starters = Array.from({ length: 3 }, () => holder(t, locked));
      const results = await Promise.all(starters.map((child) => result(child)));
      const holds = results.filter((each) => each === 'holds');
      const refused = results.filter((each) => each === 'refused');
      assert.deepEqual([holds.length, refused.length], [1, 2]);
      await assert.rejects(holdMigration(locked), busy);
      await Promise.all(starters.map((child) => ended(child)));
    }
    (await holdMigration(locked)).release();
  });

  test('the lock of a migration outlives no process, whenever it is killed', async (t) => {
    const locked = scene(t);
    for (const afterMs of [0, 1, 2, 4, 8]) {
      const child = holder(t, locked);
      // It begins when it has loaded what it needs; then it is killed at some step of taking the lock.
      await once(child.stdout ?? child, 'data');
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await ended(child);
      (await holdMigration(locked)).release();
    }
  });

  test('the lock of a migration accepts names of any length', async (t) => {
    const locked = { ...scene(t), host: 'h'.repeat(63), id: `m-${'0'.repeat(32)}` };
    const others = ['1', '2'].map((end) => ({
      ...scene(t),
      host: locked.host,
      id: locked.id + end,
    }));
    const held = await Promise.all([locked, ...others].map((each) => holdMigration(each)));
    await assert.rejects(holdMigration(locked), busy);
    for (const each of held) each.release();
  });

  test('the lock respects a mover of an earlier build, and vice versa', async (t) => {
    const locked = scene(t);
    const name = `godwit-mover-a-${locked.id}-source`;
    const earlier = started(t, ['-e', EARLIER, name]);
    assert.equal(await result(earlier), 'holds');
    await assert.rejects(holdMigration(locked), busy);
    await ended(earlier);
    const held = await holdMigration(locked);
    assert.equal(await result(started(t, ['-e', EARLIER, name])), undefined);
    held.release();
  });

  test(
    "a user who takes the older builds' lock name does not keep the lock from its mover",
    { skip: process.geteuid?.() === 0 ? false : 'only root can be two users' },
    async (t) => {
      const locked = scene(t);
      const name = `godwit-mover-a-${locked.id}-source`;
      const python = `import socket,sys,time
s=socket.socket(socket.AF_UNIX); s.bind(chr(0)+sys.argv[1]); s.listen()
print('holds',flush=True); time.sleep(60)`;
      const stranger = spawn('python3', ['-c', python, name], {
        stdio: ['ignore', 'pipe', 'ignore'],
        uid: 65_534,
        gid: 65_534,
        cwd: '/',
      });
      t.after(() => stranger.kill('SIGKILL'));
      assert.equal(await result(stranger), 'holds');
      const held = await holdMigration(locked);
      await assert.rejects(holdMigration(locked), busy);
      held.release();
      await ended(stranger);
    },
  );
});
