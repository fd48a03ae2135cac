import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { z } from 'zod';
import { AfterEnd } from '../../../src/agent/migrations/after-end.ts';
import type { Migration } from '../../../src/agent/migrations/store.ts';
import { silentLog } from '../../../src/log.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const FILE = 'state.json';

/** An agent that counts its looks at each of its migrations to `most`, and a file that says how many there were. */
function agent(t: TestContext, ids: readonly string[], most = Infinity) {
  const root = tempDir(t);
  const all = ids.map((id) => ({ id, dir: path.join(root, id) }) as Migration);
  for (const { dir } of all) mkdirSync(dir);
  const looks: string[] = [];
  const at = { before: async (): Promise<void> => undefined };
  const open = () => {
    class Looks extends AfterEnd<number> {
      protected async advance(migration: Migration) {
        const state = this.stateOf(migration) ?? 0;
        if (state >= most) return 'over';
        looks.push(migration.id);
        await at.before();
        this.keep(migration, state + 1);
        return 'more';
      }
    }
    const store = { all: () => all };
    const unreadable = () => most;
    return new Looks({ log: silentLog, store, file: FILE, schema: z.number(), unreadable });
  };
  const file = (id: string) => path.join(root, id, FILE);
  return { all, at, looks, open, file, migration: (index: number) => all[index] as Migration };
}

describe('remaining work after a migration', () => {
  test('the remaining work runs until it is finished, and its state is kept', async (t) => {
    const { looks, open, file } = agent(t, ['a', 'b'], 2);
    const each = open();
    for (let time = 0; time < 5; time += 1) await each.look();
    assert.deepEqual(looks, ['a', 'b', 'a', 'b']);
    assert.equal(readFileSync(file('b'), 'utf8'), '2\n');
  });

  test('the remaining work continues from its file after a restart of the agent', async (t) => {
    const { looks, open, migration } = agent(t, ['a'], 3);
    const first = open();
    await first.look();
    await first.look();
    await first.close();
    await first.look();
    const second = open();
    assert.equal(second.stateOf(migration(0)), 2);
    await second.look();
    await second.look();
    assert.equal(looks.length, 3);
  });

  test('the remaining work runs once at a time for each migration, and a slow one does not delay other looks', async (t) => {
    const { looks, open, at } = agent(t, ['a']);
    const lasts = Promise.withResolvers<void>();
    at.before = () => lasts.promise;
    const each = open();
    const first = each.look();
    const second = each.look();
    assert.deepEqual(looks, ['a']);
    lasts.resolve();
    await Promise.all([first, second, each.idle('a')]);
    at.before = async () => undefined;
    await each.look();
    assert.deepEqual(looks, ['a', 'a']);
  });

  test('a failed step is tried again at the next look, from the state before', async (t) => {
    const { looks, open, at, migration } = agent(t, ['a', 'b']);
    at.before = async () => {
      throw new Error('no room on the disk');
    };
    const each = open();
    await each.look();
    assert.equal(each.stateOf(migration(0)), undefined);
    at.before = async () => undefined;
    await each.look();
    assert.equal(each.stateOf(migration(0)), 1);
    assert.equal(looks.length, 4);
  });

  test('the state before is kept if the new state cannot be written', async (t) => {
    const { open, migration } = agent(t, ['a']);
    const each = open();
    await each.look();
    const { dir } = migration(0);
    rmSync(dir, { recursive: true });
    await each.look();
    assert.equal(each.stateOf(migration(0)), 1);
    mkdirSync(dir);
    await each.look();
    assert.equal(each.stateOf(migration(0)), 2);
  });

  test('the owner decides the state if the file cannot be read', async (t) => {
    const { looks, open, file } = agent(t, ['a'], 9);
    writeFileSync(file('a'), '"many"');
    await open().look();
    assert.deepEqual(looks, []);
  });

  test('the state is read from the disk once others were pruned', async (t) => {
    const { all, open, file, migration, looks } = agent(t, ['a', 'b'], 1);
    const each = open();
    await each.look();
    await each.look();
    const kept = migration(1);
    all.shift();
    writeFileSync(file('b'), '0');
    await each.look();
    await each.look();
    assert.equal(each.stateOf(kept), 1);
    assert.deepEqual(looks, ['a', 'b', 'b']);
  });
});
