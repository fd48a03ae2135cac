import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HypervPlace } from '../../managers/hyperv/place.ts';
import { until } from '../../until.ts';

// Against pretended hosts: this has never been run against real ones.

const DEADLINE_MS = 20_000;
let place: HypervPlace;
const hv1 = () => place.world.hosts.get('hv1') ?? assert.fail();
const signal = (): AbortSignal => AbortSignal.timeout(DEADLINE_MS);

before(async () => {
  place = await HypervPlace.open();
  for (const [name, host] of place.world.hosts)
    if (['hv1', 'hv2'].includes(name)) host.nodes = ['hv1', 'hv2'];
});
after(() => place?.close());

test('a node of a cluster is drained by its cluster, which moves its roles and no other guest', async () => {
  place.world.taskMs = 300;
  const role = place.world.guest('role1', 'hv1', { clustered: true });
  const other = place.world.guest('other1', 'hv1');
  const driver = place.driver();
  const [host] = await driver.hosts(signal());
  assert.deepEqual(host?.maintenanceMode, {
    moves: 'manager',
    words: 'the cluster hvc',
    leaves: ['other1'],
  });
  const { maintenance } = driver;
  assert.equal((await maintenance.enter('a', { stopped: false }, signal())).state, 'entering');
  // Asked again, it is the same drain.
  await maintenance.enter('a', { stopped: false }, signal());
  await until('the node is drained', DEADLINE_MS, async () => {
    const { state } = await maintenance.look('a', signal());
    return state === 'in' ? true : undefined;
  });
  assert.deepEqual([role.host, other.host, place.world.jobs.length], ['hv2', 'hv1', 1]);
  const [closed] = await driver.hosts(signal());
  assert.match(closed?.closed ?? '', /paused/);
  assert.equal((await maintenance.leave('a', signal())).state, 'out');
  assert.equal(hv1().node.state, 'Up');
  assert.equal(role.host, 'hv2', 'no guest moves back');
});

test('a drain that is ended under way resumes the node, and its guests stay at their present hosts', async () => {
  place.world.taskMs = 60_000;
  const role = place.world.guest('role2', 'hv1', { clustered: true });
  const { maintenance } = place.driver();
  assert.equal((await maintenance.enter('a', { stopped: false }, signal())).state, 'entering');
  assert.equal((await maintenance.leave('a', signal())).state, 'out');
  assert.equal(role.host, 'hv1');
  const seen = await maintenance.look('a', signal());
  assert.equal(seen.failed?.cancelled, true, 'somebody has resumed it');
});

test('a drain without another node that is up fails, and is reported as failed', async () => {
  const hv2 = place.world.hosts.get('hv2') ?? assert.fail();
  hv2.node = { state: 'Paused', drain: 'Completed' };
  const { maintenance } = place.driver();
  await maintenance.enter('a', { stopped: false }, signal());
  const seen = await maintenance.look('a', signal());
  assert.match(seen.failed?.reason ?? '', /could not drain its node/);
  assert.equal(seen.failed?.cancelled, false);
  await maintenance.leave('a', signal());
});

test('a host outside of a cluster has no such mode, and its cluster is not asked', async () => {
  hv1().nodes = [];
  const driver = place.driver();
  const [host] = await driver.hosts(signal());
  assert.equal(host?.maintenanceMode, undefined);
  await assert.rejects(driver.maintenance.look('a', signal()), { code: 'GODWIT_HYPERVISOR' });
  await assert.rejects(driver.maintenance.look('b', signal()), { code: 'GODWIT_HOST_UNKNOWN' });
});
