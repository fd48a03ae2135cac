import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { MigrationStore } from '../../../src/agent/migrations/store.ts';
import { systemClock } from '../../../src/clock.ts';
import { ManagedHosts } from '../../../src/controller/inventory/managed.ts';
import { Managers } from '../../../src/controller/managers/managers.ts';
import { silentLog } from '../../../src/log.ts';
import { ADMISSION } from '../../model/events.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const none = (): never => assert.fail('an empty database is asked for no manager');
const book = {
  list: () => Promise.resolve([]),
  find: none,
  password: none,
  add: none,
  remove: none,
};

/** Managers of a controller whose database names none. */
async function restored(t: TestContext) {
  const stateDir = tempDir(t);
  const directory = (name: string, ...below: string[]): string => {
    const dir = path.join(stateDir, 'managers', name, ...below);
    mkdirSync(dir, { recursive: true });
    return dir;
  };
  const hosts = new ManagedHosts({
    log: silentLog,
    nowMs: () => systemClock.wallMs(),
    migrated: () => {},
    moved: () => {},
  });
  const deps = { book, store: { kind: 'sqlite' as const }, hosts, stateDir };
  const managers = new Managers({ ...deps, clock: systemClock, log: silentLog });
  t.after(() => managers.close());
  return { managers, directory };
}

test('a manager that a restored database does not name keeps its journals and labels', async (t) => {
  const { managers, directory } = await restored(t);
  const served = directory('vc1', 'migrations', 'm-00000001');
  await managers.start();
  assert.ok(existsSync(served));
});

test('a manager that a restored database does not name keeps everything while its agent runs', async (t) => {
  const { managers, directory } = await restored(t);
  const served = directory('vc1');
  const agent = createServer().listen(path.join(served, 'agent.sock'));
  await once(agent, 'listening');
  t.after(() => agent.close());
  await managers.start();
  assert.ok(existsSync(path.join(served, 'agent.sock')));
});

test('the files of an addition whose agent never served are removed', async (t) => {
  const { managers, directory } = await restored(t);
  const begun = directory('vc1');
  writeFileSync(path.join(begun, 'agent.json'), '{}');
  await managers.start();
  assert.ok(!existsSync(begun));
});

test('leftovers are removed on request, and never while a migration has not ended', async (t) => {
  const { managers, directory } = await restored(t);
  const left = directory('vc1');
  const journals = new MigrationStore(left, 'vc1', systemClock);
  const migration = journals.add({
    version: 1,
    id: 'm-00000001',
    side: 'destination',
    fromHost: 'a',
    toHost: 'b',
    peer: { name: 'a', address: 'a:1' },
    createdAt: new Date().toISOString(),
    admission: { ...ADMISSION, id: 'm-00000001' },
  });
  await managers.start();
  await assert.rejects(managers.remove('vc1'), { code: 'GODWIT_MANAGER_BUSY' });
  assert.ok(existsSync(migration.dir));
  journals.drop(migration.id);
  await managers.remove('vc1');
  assert.ok(!existsSync(left));
  await assert.rejects(managers.remove('vc1'), { code: 'GODWIT_MANAGER_UNKNOWN' });
});
