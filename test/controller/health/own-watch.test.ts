import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { OwnWatch, type OwnWatchDependencies } from '../../../src/controller/health/own-watch.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import { godwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import { authority, tempDir } from '../../rpc/test-contract.ts';
import { readFileSync } from 'node:fs';
import path from 'node:path';

test('a controller finds its disk, its database, its certificate and its list, and names each failure', async (t) => {
  const stateDir = tempDir(t);
  const { caDir } = await authority(t);
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  t.after(() => store.close());
  const cert = readFileSync(path.join(caDir, 'ca.crt'), 'utf8');
  const logged: unknown[] = [];
  const log = { ...silentLog, warn: (each: unknown) => void logged.push(each) };
  const expiresAt = new Date(Date.now() - 1000).toISOString();
  let list = (): unknown => ({ expiresAt });
  const deps = {
    store,
    stateDir,
    clock: systemClock,
    log,
    database: { sqlite: ':memory:' },
    credentials: { cert },
    fleet: { list: () => list() },
  } as unknown as OwnWatchDependencies;
  const watch = new OwnWatch(deps);
  assert.deepEqual(watch.problems(), []);
  await watch.look();
  const { disks, database, certificateUntilMs = 0 } = watch.facts;
  assert.deepEqual(
    disks.map(({ directory, freeBytes, totalBytes }) => [directory, totalBytes > freeBytes]),
    [[stateDir, true]],
  );
  assert.ok(database !== undefined && 'tookMs' in database);
  assert.ok(certificateUntilMs > Date.now());
  const aboutOf = () =>
    watch
      .problems()
      .map(({ about, severity }) => `${about} ${severity}`)
      .filter((each) => !each.startsWith('disk'));
  assert.deepEqual(aboutOf(), ['fleet-list bad']);
  await watch.look();
  assert.equal(logged.filter((each) => JSON.stringify(each).includes('fleet-list')).length, 1);

  list = () => {
    throw godwitError('GODWIT_LIST_DAMAGED', { file: 'fleet.json', why: 'it is not JSON' });
  };
  const broken = new OwnWatch({
    ...deps,
    store: { db: { selectFrom: () => assert.fail('the database is gone') } } as never,
  });
  await broken.look();
  assert.deepEqual(
    broken
      .problems()
      .filter(({ about }) => about !== 'disk')
      .map(({ about, severity }) => `${about} ${severity}`),
    ['database bad', 'fleet-list bad'],
  );
});
