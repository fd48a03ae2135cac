import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { HostAnswer } from '../../../../src/migration/permission/host-answer.ts';
import { fleetOf } from '../fleets.ts';
import { EPOCH, arrive, armed, never } from './scene.ts';

const WITHOUT: HostAnswer = { is: 'without' };
const SILENT: HostAnswer = { is: 'silent', why: 'dark' };
const word = (host: string) => ({ host, doubts: ['no answer'] });

describe('a commit after a reboot or an order', () => {
  async function arrived(t: TestContext, c: HostAnswer) {
    const fleet = fleetOf({ a: WITHOUT, c });
    const scene = await armed(t, fleet);
    arrive(scene);
    return { ...scene, fleet };
  }

  test('a commit after a reboot runs the guest once every host of the fleet is clear', async (t) => {
    const { mover, hosts, fleet } = await arrived(t, WITHOUT);
    await mover.commit(EPOCH, never, { answersFor: [] });
    assert.deepEqual(fleet.asked, ['a', 'c']);
    assert.equal(hosts.destination?.run, 'running');
  });

  test('a commit after a reboot is held if a third host recovered the guest, and leaves no record to run', async (t) => {
    const has: HostAnswer = { is: 'has', why: 'has web1 (running, by its UUID)' };
    const { mover, hosts, journaled } = await arrived(t, has);
    await assert.rejects(mover.commit(EPOCH, never, { answersFor: [word('c')] }), {
      code: 'GODWIT_HELD',
      message: /c has web1/,
    });
    assert.equal(hosts.destination?.run, 'paused');
    assert.equal(journaled().includes('committed'), false);
    // It can still refuse, so the source may take the guest back.
    await mover.refuse(EPOCH);
    assert.equal(mover.state.right, 'refused');
  });

  test('a commit after a reboot is held if a third host is silent, unless the operator answers for it', async (t) => {
    const { mover, hosts } = await arrived(t, SILENT);
    for (const answersFor of [[], [word('d')]]) {
      await assert.rejects(mover.commit(EPOCH, never, { answersFor }), { code: 'GODWIT_HELD' });
    }
    assert.equal(hosts.destination?.run, 'paused');
    await mover.commit(EPOCH, never, { answersFor: [word('c')] });
    assert.equal(hosts.destination?.run, 'running');
  });

  test('a commit of a source that stayed up needs no answer from other hosts', async (t) => {
    const { mover, hosts, fleet } = await arrived(t, SILENT);
    await mover.commit(EPOCH, never);
    assert.deepEqual(fleet.asked, []);
    assert.equal(hosts.destination?.run, 'running');
  });
});
