import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { openStore } from '../../../src/controller/store/open.ts';
import { writeProposal } from '../../../src/controller/store/proposal-rows.ts';
import { silentLog } from '../../../src/log.ts';
import { fleet } from '../../agent/samples.ts';
import { controllerOf } from '../../controller/test-controller.ts';
import { proposalOf } from '../../controller/policy/samples.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { askingOf } from '../asking.ts';

/** A controller without any host that has two open proposals, and `godwit` that asks it. */
async function asking(t: TestContext) {
  const { caDir } = await fleet(t);
  const file = path.join(tempDir(t), 'fleet.db');
  const store = await openStore({ sqlite: file }, silentLog);
  const far = { expiresAtMs: 4_000_000_000_000 };
  await store.transaction(async (db) => {
    // No look of the controller itself ends them meanwhile: they are of a group that has no policy.
    await writeProposal(db, proposalOf({ ...far, scope: 'night', id: 'p-00000001' }), false);
    await writeProposal(db, proposalOf({ ...far, scope: 'night', id: 'p-00000002' }), false);
  });
  await store.close();
  const { controller } = await controllerOf(t, caDir, { database: { sqlite: file } });
  return askingOf(controller);
}

test('proposals are listed, shown, postponed, rejected with a reason, and decided once', async (t) => {
  const run = await asking(t);
  const all = await run('policy proposals');
  assert.equal(all.exit, 0, all.err);
  assert.match(all.out, /p-00000001 +balance +open +g1: a → b/);
  const one = await run('policy proposals p-00000001');
  assert.match(one.out, /why: a has too much/);
  assert.match(one.out, /brings: 100 processor-seconds within an hour/);
  const off = await run('policy proposals p-00000001 --snooze 2h');
  assert.match(off.out, /snoozed by/);
  const rejected = await run('policy proposals p-00000002 --reject never');
  assert.match(rejected.out, /rejected by .*because: never/s);
  const again = await run('policy proposals p-00000002 --accept');
  assert.equal(again.exit, 4, again.out);
  assert.match(again.err, /p-00000002 is already rejected/);
  const unknown = await run('policy proposals p-99999999');
  assert.equal(unknown.exit, 3);
  const nobody = await run('policy proposals --accept');
  assert.match(nobody.err, /no proposal is named/);
  const both = await run('policy proposals p-00000001 --accept --snooze 1h');
  assert.match(both.err, /accepted, rejected or put off/);
  const accepted = await run('policy proposals p-00000001 --accept --json');
  assert.equal(accepted.exit, 0, accepted.err);
  assert.deepEqual(JSON.parse(accepted.out), {
    accepted: ['p-00000001'],
    requests: ['r-00000001000'],
  });
});

test('policies are listed and set, and one of a group is removed', async (t) => {
  const run = await asking(t);
  assert.match((await run('policy list')).out, /balance +fleet +propose/);
  assert.match(
    (await run('policy set balance --mode automatic --level 2')).out,
    /fleet: automatic/,
  );
  const kept = JSON.parse(
    (await run('policy set balance --moves-per-hour 5 --json')).out,
  ) as object;
  assert.deepEqual(
    { ...kept, setAtMs: 0, setBy: '', look: undefined },
    {
      kind: 'balance',
      scope: 'fleet',
      mode: 'automatic',
      level: 2,
      movesPerHour: 5,
      residenceMs: 14_400_000,
      rejectedMs: 86_400_000,
      setBy: '',
      setAtMs: 0,
      look: undefined,
    },
  );
  const nameless = await run('policy set balance --group night --mode propose');
  assert.match(nameless.err, /names its hosts, and night names none/);
  const strange = await run('policy set balance --group night --mode propose --hosts zz');
  assert.equal(strange.exit, 3, strange.err);
  assert.match((await run('policy set balance --remove')).err, /the policy of the fleet stays/);
  assert.equal((await run('policy set balance --group night --remove')).exit, 3);
});

test('a look at an empty fleet proposes nothing, and no host has room for a guest', async (t) => {
  const run = await asking(t);
  const dry = await run('policy balance --dry-run');
  assert.equal(dry.exit, 0, dry.err);
  assert.match(dry.out, /no host is known here that no group has; nothing is to be moved/);
  assert.equal((await run('policy consolidate --yes')).exit, 0);
  const place = await run('advise place --memory 8G --cpus 4');
  assert.equal(place.exit, 4, place.err);
  assert.match(place.out, /^no host: /);
  assert.match((await run('advise place --memory 8G')).err, /needs --memory and --cpus/);
  const label = await run('advise place --memory 8G --cpus 1 --label godwit/colour=red');
  assert.match(label.err, /not one that Godwit knows/);
});
