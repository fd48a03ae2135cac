import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { bootId, holdMigration, sayReady, startTicksOf } from '../../src/host/process.ts';
import { moverState } from '../../src/protocol/mover/request.ts';

describe('a mover as a process', () => {
  test('is named for good by its pid and its start', () => {
    const ticks = startTicksOf(process.pid);
    assert.ok(ticks > 0);
    assert.equal(startTicksOf(process.pid), ticks);
    assert.ok(startTicksOf(1) < ticks);
    assert.throws(() => startTicksOf(2 ** 30));
  });

  test('knows which boot of its host it lives in', () => {
    assert.match(bootId(), /^[0-9a-f-]{36}$/);
    assert.equal(bootId(), bootId());
  });

  test('holds its side of a migration alone, until it lets go', async () => {
    const id = `test-${process.pid}`;
    const held = await holdMigration(id, 'source');
    await assert.rejects(holdMigration(id, 'source'), /another mover already works on the source/);
    const other = await holdMigration(id, 'destination');
    const letGo = (server: typeof held): Promise<void> =>
      new Promise((resolve) => {
        server.close(() => resolve());
      });
    await letGo(held);
    await letGo(await holdMigration(id, 'source'));
    await letGo(other);
  });

  test('says in a file of its own who it is, whole or not at all', (t) => {
    const directory = mkdtempSync(path.join(tmpdir(), 'godwit-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const state = { pid: process.pid, startTicks: 7, socket: 'mover.sock' };
    sayReady(directory, state);
    sayReady(directory, { ...state, startTicks: 8 });
    const file = path.join(directory, 'mover.json');
    const written = moverState.parse(JSON.parse(readFileSync(file, 'utf8')));
    assert.equal(written.startTicks, 8);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(directory), ['mover.json']);
  });
});
