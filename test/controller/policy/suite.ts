import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { policySettings } from '../../../src/protocol/controller/policy.ts';
import { hasCode } from '../../../src/errors.ts';
import { LOOK_MS } from '../../../src/controller/inventory/guest-looks.ts';
import type { StorePlace } from '../../../src/controller/store/open.ts';
import { Policies } from '../../../src/controller/store/policies.ts';
import { crowdedIn, list, set } from './crowded.ts';
import type { Scene } from './scene.ts';

/** What holds of a policy whatever keeps it. `make` gives an empty database of its own to each test. */
export function policySuite(name: string, make: () => Promise<StorePlace>): void {
  const crowded = async (t: TestContext): Promise<Scene> => crowdedIn(t, await make());

  describe(`a standing policy in ${name}`, () => {
    test('a policy proposes for an overloaded host, and moves nothing by itself', async (t) => {
      const scene = await crowded(t);
      await scene.turn('balance');
      await scene.carry();
      const [proposal, ...others] = await list(scene);
      assert.ok(proposal !== undefined);
      assert.deepEqual(others, []);
      assert.deepEqual([proposal.state, proposal.reason], ['open', 'contention']);
      assert.equal(proposal.moves[0]?.from, 'a');
      assert.ok((proposal.benefit.processorSeconds ?? 0) > 0 && proposal.cost.bytes > 0);
      assert.deepEqual(scene.begun, []);
      const [policy] = await scene.policies.list();
      assert.match(policy?.look?.words ?? '', /1 proposal is open/);
    });

    test('an accepted proposal becomes a request, moves, and reports its result; then nothing is left to do', async (t) => {
      const scene = await crowded(t);
      await scene.turn('balance');
      const [first] = await list(scene);
      assert.ok(first !== undefined);
      const done = await scene.proposals.accept(first.id, 'alice');
      assert.deepEqual(done.accepted, [first.id]);
      await scene.carry();
      assert.equal(scene.begun.length, 1);
      const [move] = (await scene.requests.get(done.requests[0] ?? '')).moves;
      assert.ok(move !== undefined);
      const { id, guest, from: source, to: destination } = move;
      await scene.reported({ id, guest, source, destination }, move.createdAtMs);
      await scene.watch(1);
      for (let looks = 0; looks < 3; looks += 1) {
        await scene.turn('balance');
        await scene.turn('consolidate');
        await scene.watch(1);
      }
      const all = await scene.proposals.list({ kind: 'balance', limit: 100 });
      assert.deepEqual(
        all.map(({ state, actual }) => [state, actual?.moved, actual?.downtimeMs, actual?.bytes]),
        [['done', 1, 40, 1000]],
      );
      assert.equal(all[0]?.decidedBy, 'alice');
      assert.equal(scene.begun.length, 1);
    });

    test('an automatic policy moves by itself, and a second controller or a restart moves nothing more', async (t) => {
      const scene = await crowded(t);
      await set(scene, { mode: 'automatic' });
      await scene.turn('balance');
      const [reported] = await scene.policies.list();
      assert.equal(reported?.look?.words, '1 proposal is accepted');
      await scene.carry();
      assert.equal(scene.begun.length, 1);
      await scene.watch(1);
      for (const owner of ['two', 'three']) {
        await scene.loop(owner).turn('balance', 'fleet');
        await scene.carry();
      }
      assert.equal(scene.begun.length, 1);
      const [proposal] = await list(scene);
      assert.equal(proposal?.decidedBy, 'the policy balance of fleet');
    });

    test('a guest that waits for its move, or moves, counts at its destination: no other one leaves meanwhile', async (t) => {
      const scene = await crowded(t);
      await set(scene, { mode: 'automatic' });
      await scene.turn('balance');
      for (let looks = 0; looks < 3; looks += 1) {
        await scene.watch(1);
        await scene.turn('balance');
      }
      assert.deepEqual(
        (await list(scene)).map(({ state }) => state),
        ['accepted'],
      );
      await scene.carry();
      assert.equal(scene.begun.length, 1);
    });

    test("a person's setting stands: a look that began before is not written, and the next one is due at once", async (t) => {
      const scene = await crowded(t);
      await set(scene, { mode: 'automatic' });
      const { policies } = scene;
      const claim = await policies.seize('balance', 'fleet', 'one', 60_000);
      const change = await scene.look('balance');
      assert.equal(change.proposals[0]?.requests.length, 1);
      await set(scene, { mode: 'off' });
      assert.equal(await policies.commit(claim, change, LOOK_MS), false);
      await scene.carry();
      assert.deepEqual([await list(scene), scene.begun], [[], []]);
      await scene.store.db.deleteFrom('policies').where('kind', '!=', 'balance').execute();
      const next = await policies.acquire('two', 60_000);
      assert.deepEqual([next?.kind, next?.scope], ['balance', 'fleet']);
    });

    test('a look at a removed group is not written to a new group of that name', async (t) => {
      const scene = await crowded(t);
      const { policies } = scene;
      const group = policySettings.parse({ mode: 'automatic', hosts: ['a', 'b'] });
      await policies.put('balance', 'front', group, 'test');
      const claim = await policies.seize('balance', 'front', 'one', 60_000);
      const change = await scene.look('balance', 'front');
      await policies.remove('balance', 'front');
      await policies.put('balance', 'front', { ...group, mode: 'propose' }, 'test');
      await policies.seize('balance', 'front', 'two', 60_000);
      assert.equal(await policies.commit(claim, change, LOOK_MS), false);
      assert.deepEqual(await list(scene), []);
    });

    test('a caller that asks for a look during another one gets stored proposals', async (t) => {
      const scene = await crowded(t);
      const two = scene.loop('two');
      // Another one takes the policy right before the first `rivals` looks are written.
      const asking = (rivals: number) => {
        let left = rivals;
        const newId = (): string => `${left}`.padStart(16, '7');
        const policies = new Policies(scene.store);
        const commit = policies.commit.bind(policies);
        policies.commit = async (...given) => {
          if ((left -= 1) >= 0) await two.lookNow('balance', 'fleet');
          return commit(...given);
        };
        return scene.loop('one', { policies, newId }).lookNow('balance', 'fleet');
      };
      const { proposals } = await asking(1);
      assert.equal(proposals.length, 1);
      for (const { proposal } of proposals)
        assert.equal((await scene.proposals.get(proposal.id)).state, 'open');
      await assert.rejects(asking(2), (thrown) => hasCode(thrown, 'GODWIT_OVERLOADED'));
    });

    test('a rejected proposal is not made again for its time, and another solution is searched', async (t) => {
      const scene = await crowded(t);
      await scene.turn('balance');
      const [first] = await list(scene);
      assert.ok(first !== undefined);
      const rejected = await scene.proposals.reject(
        first.id,
        'it is the payroll, at month’s end',
        'bob',
      );
      assert.equal(rejected.why, 'it is the payroll, at month’s end');
      await scene.turn('balance');
      const open = await scene.proposals.list({ state: 'open', limit: 10 });
      assert.ok(open.every(({ moves }) => moves[0]?.guest !== first.moves[0]?.guest));
      await set(scene, { rejectedMs: 60_000 });
      const long = { ...rejected, decidedAtMs: (rejected.decidedAtMs ?? 0) - 61_000 };
      await scene.store.db
        .updateTable('proposals')
        .set({ body: JSON.stringify(long) })
        .where('id', '=', first.id)
        .execute();
      for (const each of open) await scene.proposals.reject(each.id, 'no', 'bob');
      await scene.turn('balance');
      const again = await scene.proposals.list({ state: 'open', limit: 10 });
      assert.deepEqual(
        again.map(({ moves }) => moves[0]?.guest),
        [first.moves[0]?.guest],
      );
    });

    test('a postponed proposal comes again once its time is over', async (t) => {
      const scene = await crowded(t);
      await scene.turn('balance');
      const [first] = await list(scene);
      assert.ok(first !== undefined);
      const off = await scene.proposals.snooze(first.id, 60_000, 'bob');
      await scene.turn('balance');
      const names = async () =>
        (await scene.proposals.list({ state: 'open', limit: 10 })).map(
          ({ moves }) => moves[0]?.guest,
        );
      assert.ok(!(await names()).includes(first.moves[0]?.guest ?? ''));
      await scene.store.db
        .updateTable('proposals')
        .set({ body: JSON.stringify({ ...off, snoozedUntilMs: 1 }) })
        .where('id', '=', first.id)
        .execute();
      await scene.turn('balance');
      assert.equal((await scene.proposals.get(first.id)).state, 'expired');
    });

    test('a proposal that no look repeats expires, and an impossible one expires at once', async (t) => {
      const scene = await crowded(t);
      await scene.turn('balance');
      const [first] = await list(scene);
      assert.ok(first !== undefined);
      const guest = first.moves[0]?.guest ?? '';
      scene.guests.delete(guest);
      await scene.watch(1);
      await scene.turn('balance');
      const ended = await scene.proposals.get(first.id);
      assert.deepEqual([ended.state, ended.why], ['expired', `${guest} is not on a any more`]);
      const late = scene.proposals.accept(first.id, 'alice');
      await assert.rejects(late, (thrown) => hasCode(thrown, 'GODWIT_PROPOSAL_CLOSED'));
    });

    test('a policy that is off, or without reports of the guests, looks at nothing', async (t) => {
      const scene = await crowded(t);
      await set(scene, { mode: 'off' });
      await scene.turn('balance');
      assert.deepEqual(await list(scene), []);
      await set(scene, { mode: 'automatic' });
      await scene.store.db.deleteFrom('rollups').execute();
      await scene.turn('balance');
      assert.deepEqual(await list(scene), []);
      const policies = await scene.policies.list();
      assert.match(policies[0]?.look?.words ?? '', /no look at what guests use/);
    });

    test("a group has its hosts to itself, and the fleet's policy leaves them alone", async (t) => {
      const scene = await crowded(t);
      const group = policySettings.parse({ mode: 'propose', hosts: ['a', 'b'] });
      await scene.policies.put('balance', 'front', group, 'test');
      await scene.turn('balance', 'fleet');
      assert.deepEqual(await list(scene), []);
      await scene.turn('balance', 'front');
      const [proposal] = await list(scene);
      assert.deepEqual([proposal?.scope, proposal?.moves[0]?.to], ['front', 'b']);
      const other = policySettings.parse({ mode: 'off', hosts: ['b', 'c'] });
      await assert.rejects(scene.policies.put('balance', 'back', other, 'test'), (thrown) =>
        hasCode(thrown, 'GODWIT_POLICY_OVERLAP'),
      );
    });

    test('a setting is not overwritten by a caller that read it before another caller changed it', async (t) => {
      const { policies } = await crowded(t);
      const group = policySettings.parse({ mode: 'propose', hosts: ['a', 'b'] });
      const changed = (thrown: unknown) => hasCode(thrown, 'GODWIT_POLICY_CHANGED');
      const put = (mode: 'off' | 'approve', by: string, read?: number) =>
        policies.put('balance', 'front', { ...group, mode }, by, read);
      const first = await put('off', 'ann', 0);
      await assert.rejects(put('approve', 'bob', 0), changed);
      // However close together: each has a moment of its own.
      const second = await put('approve', 'ann', first.setAtMs);
      assert.ok(second.setAtMs > first.setAtMs);
      await assert.rejects(put('off', 'bob', first.setAtMs), (thrown) => {
        assert.match(String(thrown), /ann set it at/);
        return changed(thrown);
      });
      await policies.remove('balance', 'front');
      await assert.rejects(put('off', 'bob', second.setAtMs), changed);
      assert.equal((await put('off', 'bob')).setBy, 'bob');
    });
  });
}
