import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { labHost } from '../../lab/state.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { runCommandLine } from '../../src/cli/frame.ts';
import { TABLE } from '../../src/cli/table.ts';
import { loadAgentConfig } from '../../src/config.ts';
import { FakeContext } from '../cli/fake.ts';
import { startWatchedGuest, type WatchedGuest } from './support/client-view.ts';
import { begin, follow, move, reportAtEnd } from './support/moves.ts';
import { openWorld, type World } from './support/world.ts';

/** The copy takes some seconds, and converges. */
const WHILE_COPIED = { maxBandwidth: 16 * 1024 ** 2, maxDowntimeMs: 2000 } as const;

async function godwit(...argv: string[]): Promise<void> {
  const context = new FakeContext();
  const code = await runCommandLine(argv, TABLE, context);
  assert.equal(code, 0, context.err.text);
}

describe('a host restored while guests run', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'godwit-backup-'));
  const etc = path.join(folder, 'etc');
  const archive = path.join(folder, 'a.tar.gz');
  let world: World;
  let web1: WatchedGuest;

  before(async () => {
    world = await openWorld('backup', { hosts: 2 });
    web1 = await startWatchedGuest(world);
    fs.mkdirSync(etc);
    fs.copyFileSync(labHost(world.lab, 'a').configFile, path.join(etc, 'agent.json'));
  });
  after(async () => {
    await world?.close();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  /** Only the directories of running guests are left, as after a purge of the package. */
  function wipe(): void {
    const { stateDir, caDir = '' } = loadAgentConfig(path.join(etc, 'agent.json'));
    fs.rmSync(caDir, { recursive: true });
    for (const name of fs.readdirSync(stateDir))
      if (name !== 'guests') fs.rmSync(path.join(stateDir, name), { recursive: true });
    fs.rmSync(etc, { recursive: true });
  }

  async function restore(): Promise<void> {
    await stopAgent(world.lab, 'a');
    wipe();
    await godwit('restore', archive);
    await startAgent(world.lab, 'a');
  }

  test('a host restored to the middle of a move leaves the guest to the host that has received it', async () => {
    await web1.unharmed('b', async () => {
      const id = await begin(world, { guest: 'web1', from: 'a', to: 'b', ...WHILE_COPIED });
      await follow(world, 'a', id, ({ phase }) => phase === 'memory');
      await godwit('backup', archive, '--config-dir', etc);
      assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'done');
      await restore();
      const { migrations } = await world.agent('a').migrations({ query: { scope: 'local' } });
      assert.deepEqual(migrations, []);
      const { guests } = await world.agent('a').guests({ query: { scope: 'local' } });
      assert.deepEqual(guests, []);
    });
  });

  test('a restored host finds its running guest, and moves it on', async () => {
    await web1.unharmed('a', () => move(world, { guest: 'web1', from: 'b', to: 'a' }));
    await restore();
    assert.deepEqual(await runningOn(world.lab, 'web1'), ['a']);
    const { guests } = await world.agent('a').guests({ query: { scope: 'local' } });
    assert.partialDeepStrictEqual(guests, [{ name: 'web1' }]);
    await web1.unharmed('b', () => move(world, { guest: 'web1', from: 'a', to: 'b' }));
  });
});
