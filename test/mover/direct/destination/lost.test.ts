import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { EPOCH, arrive, armed, never, open, type Scene } from './scene.ts';

describe('a guest that runs at its destination', () => {
  test("a lost guest is detected by any request, before its hypervisor's end was reported", async (t) => {
    const scene = await armed(t);
    arrive(scene);
    await scene.mover.commit(EPOCH, never);
    assert.equal((await scene.mover.status()).hypervisor, 'running');
    const { destination } = scene.hosts;
    if (destination !== undefined) destination.alive = false;
    assert.equal(scene.mover.state.hypervisor, 'running');
    assert.equal((await scene.mover.status()).hypervisor, 'gone');
    assert.equal((await scene.mover.status()).hypervisor, 'gone');
    const lost = scene.journaled().filter((type) => type === 'hypervisor').length;
    await scene.mover.status();
    assert.equal(scene.journaled().filter((type) => type === 'hypervisor').length, lost);
  });
});

describe('a guest that has run at its destination', () => {
  test('a guest that ran here is not run again by a repeated commit, and its loss does not fail the commit', async (t) => {
    const scene = await armed(t);
    arrive(scene);
    await scene.mover.commit(EPOCH, never);
    const { destination } = scene.hosts;
    if (destination !== undefined) scene.hosts.world.kill(destination);
    const again = await scene.mover.commit(EPOCH, never);
    assert.equal(again.epoch, EPOCH);
    assert.equal((await scene.mover.status()).hypervisor, 'gone');
    const resumed = scene.hosts.calls.filter((call) => call === 'destination.resumeGuest');
    assert.equal(resumed.length, 1);
  });
});

describe('a migration of a lost guest', () => {
  const gone = async (t: TestContext): Promise<Scene> => {
    const scene = await armed(t);
    arrive(scene);
    await scene.mover.commit(EPOCH, never);
    const { destination } = scene.hosts;
    if (destination !== undefined) scene.hosts.world.kill(destination);
    return scene;
  };

  test('a migration of a lost guest is not called finished', async (t) => {
    const { mover, journaled } = await gone(t);
    await assert.rejects(mover.finish(EPOCH, never), { code: 'GODWIT_LOST' });
    assert.ok(!journaled().includes('finished'));
    await mover.tearDown(EPOCH, never);
    await mover.ended;
  });

  test('a migration of a lost guest is finished by a mover that took over, however late the guest ended', async (t) => {
    const { mover: first } = await gone(t);
    const { mover, journaled } = await open(t, first.state, true);
    await mover.finish(EPOCH, never);
    assert.ok(journaled().includes('finished'));
  });
});
