import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { KeyRing } from '../../../src/controller/managers/seal.ts';
import { ManagerStore } from '../../../src/controller/managers/manager-store.ts';
import { writeGuestHours } from '../../../src/controller/inventory/guest-hours.ts';
import { HostLeases } from '../../../src/controller/inventory/leases.ts';
import { AuditRows } from '../../../src/controller/store/audit.ts';
import { changeLimits } from '../../../src/controller/store/limits.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { forgetStandbys, writeStandby } from '../../../src/controller/store/standbys.ts';
import { Requests } from '../../../src/controller/store/requests.ts';
import { Sessions } from '../../../src/controller/who/sessions.ts';
import { Tokens } from '../../../src/controller/who/tokens.ts';
import { limitsChange } from '../../../src/protocol/controller/limits.ts';
import { managerPlace } from '../../../src/protocol/controller/managers.ts';
import { silentLog } from '../../../src/log.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { drainOf } from '../requests/worlds.ts';

const ENTRY = {
  controller: 'c1',
  who: 'ann',
  role: 'operator',
  by: 'token',
  from: null,
  what: 'drain',
  route: 'PUT /v1/requests/:id',
  arguments: '{}',
  result: null,
  unkept: 0,
};
const HOUR_MS = 3_600_000;
const STANDBY = { host: 'a', guest: 'g', to: 'b', words: undefined };

test('a controller of an older build writes nothing once a newer build has the database', async (t) => {
  const directory = tempDir(t);
  const store = await openStore({ sqlite: path.join(directory, 'controller.db') }, silentLog);
  t.after(() => store.close());
  const { db } = store;
  const [tokens, sessions] = [new Tokens(store), new Sessions(store)];
  const [requests, audit] = [new Requests(store), new AuditRows(store)];
  const managers = new ManagerStore(store, new KeyRing(path.join(directory, 'keys.json')));
  const leases = new HostLeases(store, { id: 'one', name: 'one' }, silentLog);
  const place = managerPlace.parse({ driver: 'vsphere', url: 'https://vc1', user: 'godwit' });

  const { token } = await tokens.create({ name: 'ann', role: 'viewer', by: 'a test' });
  const { secret } = await sessions.begin({ token });
  await managers.add('vc1', place, 'password', 'a test');
  await requests.add(drainOf('a'));
  const claim = (await requests.acquire('one', 60_000)) ?? assert.fail('nothing is due');
  await writeStandby(store, STANDBY);
  const entry = await audit.add(ENTRY);
  // Of an hour that is over, so that its means are due.
  const at = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 2 * HOUR_MS;
  const look = { shard: 0, span: 'look', at, body: '{"a":{"cores":1,"guests":{"g":1}}}' };
  await db.insertInto('rollups').values(look).execute();
  await db.updateTable('godwit_schema').set({ version: 10_000 }).execute();

  const tables = [
    'tokens',
    'sessions',
    'managers',
    'audit',
    'rollups',
    'standbys',
    'claims',
    'requests',
    'counters',
    'limits',
    'host_leases',
    'controllers',
  ] as const;
  const all = () => Promise.all(tables.map((table) => db.selectFrom(table).selectAll().execute()));
  const before = await all();
  const writes: Readonly<Record<string, () => Promise<unknown>>> = {
    'makes a token': () => tokens.create({ name: 'bob', role: 'admin', by: 'a test' }),
    'notes the use of a token': () => tokens.find(token),
    'revokes a token': () => tokens.revoke('ann'),
    'begins a session': () => sessions.begin({ token }),
    'ends a session': () => sessions.end(secret),
    'ends the sessions of a name': () => sessions.endByName('ann'),
    'adds a manager': () => managers.add('vc2', place, 'password', 'a test'),
    'removes a manager': () => managers.remove('vc1'),
    'adds an entry to the audit log': () => audit.add(ENTRY),
    'notes the end of a change': () => audit.ended(entry, 'ok'),
    'removes old entries of the audit log': () => audit.prune({ days: 0, most: 0 }),
    'notes a standby': () => writeStandby(store, { ...STANDBY, guest: 'h' }),
    'forgets a standby': () => forgetStandbys(store, 'a', [STANDBY]),
    'writes what guests used': () => writeGuestHours(store),
    'adds a request': () => requests.add({ ...drainOf('b'), id: 'r-00000002' }),
    'renews its claims': () => requests.renewAll([claim], 60_000),
    'gives a claim up': () => requests.release(claim, 0),
    'renews its leases of hosts': () => leases.turn(),
    'changes limits': () => changeLimits(store, limitsChange.parse({ fleet: 7 })),
  };
  for (const [name, write] of Object.entries(writes)) {
    await t.test(name, async () => {
      await assert.rejects(write(), { code: 'GODWIT_STORE_NEWER' });
      assert.deepEqual(await all(), before);
    });
  }
});
