import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { PretendedHost } from './pretended.ts';

describe('the move of a disk', () => {
  let host: PretendedHost;

  beforeEach(async () => {
    host = await PretendedHost.open();
  });
  afterEach(() => host.close());

  /** The guest's disk is whole, and nothing but it is there. */
  async function assertWhole(): Promise<void> {
    assert.equal(await host.holds(host.truth), host.written);
    const all = await readdir(host.directory, { recursive: true, withFileTypes: true });
    const names = all.filter((each) => each.isFile()).map(({ name }) => name);
    assert.equal(names.length, 1, names.join());
    if (host.truth === host.from) assert.equal(existsSync(host.to), false);
  }

  test('a move ends with the guest on the new image, and the old one removed', async () => {
    const ended = await host.agent(await host.plan());
    assert.ok(ended !== 'killed');
    assert.equal(ended.state, 'done', JSON.stringify(ended));
    assert.equal(host.truth, host.to);
    await assertWhole();
  });

  test('a move keeps the old image under another name on request', async () => {
    const ended = await host.agent(await host.plan(true));
    assert.ok(ended !== 'killed');
    assert.equal(ended.kept, `${host.from}.moved-${ended.id}`);
    assert.ok(existsSync(ended.kept ?? ''));
  });

  test('a failed copy leaves the guest on its old image, with the reason', async () => {
    host.failure = { kind: 'full', reason: 'No space left on device' };
    const ended = await host.agent(await host.plan());
    assert.ok(ended !== 'killed');
    assert.equal(ended.error?.code, 'GODWIT_DISK_FAILED');
    assert.match(ended.error.message, /no room/);
    await assertWhole();
  });

  test('a move completes whenever its agent is killed, with the disk whole at each moment', async () => {
    await host.agent(await host.plan());
    const { steps } = host;
    assert.ok(steps > 10, String(steps));
    for (let killAt = 2; killAt <= steps; killAt += 1) {
      await renew();
      host.killAt = killAt;
      const plan = await host.plan();
      assert.equal(await host.agent(plan), 'killed', `before step ${killAt}`);
      assert.equal(await host.holds(host.truth), host.written, `at step ${killAt}`);
      const ended = await host.agent(plan);
      assert.ok(ended !== 'killed');
      assert.equal(ended.state, 'done', `after step ${killAt}: ${JSON.stringify(ended)}`);
      await assertWhole();
    }
  });

  test('a move keeps the right image whenever the hypervisor dies together with the agent', async () => {
    await host.agent(await host.plan());
    const { steps } = host;
    const ends = new Set<string>();
    for (let killAt = 2; killAt <= steps; killAt += 1) {
      await renew();
      host.killAt = killAt;
      host.both = true;
      const plan = await host.plan();
      assert.equal(await host.agent(plan), 'killed');
      const ended = await host.agent(plan);
      assert.ok(ended !== 'killed');
      ends.add(ended.state);
      // Between the record and the word both are the same, and the new one counts.
      const left = ended.state === 'done' ? host.to : host.from;
      assert.equal(await host.holds(left), host.written, `after step ${killAt}: ${ended.state}`);
      if (ended.state === 'done') assert.ok(ended.kept === undefined || existsSync(ended.kept));
      else assert.equal(existsSync(host.to), false);
    }
    assert.deepEqual([...ends].toSorted(), ['done', 'failed']);
  });

  test('the switch to the new image waits until other hosts have marked their descriptions stale', async () => {
    host.unannounced = 2;
    const ended = await host.agent(await host.plan());
    assert.ok(ended !== 'killed');
    assert.equal(ended.state, 'done');
    assert.equal(host.announced, 3);
  });

  test('another agent that orders the switch informs other hosts again, because the old state was confirmed meanwhile', async () => {
    await host.agent(await host.plan());
    const { steps } = host;
    for (let killAt = 2; killAt <= steps; killAt += 1) {
      await renew();
      host.killAt = killAt;
      const plan = await host.plan();
      assert.equal(await host.agent(plan), 'killed');
      const ended = await host.agent(plan);
      assert.ok(ended !== 'killed');
      assert.equal(ended.state, 'done', `after step ${killAt}: ${JSON.stringify(ended)}`);
      assert.equal(host.untold, 0, `after step ${killAt}`);
    }
  });

  test('a host that does not answer does not delay the guest once another agent continues the move', async () => {
    await host.agent(await host.plan());
    const { steps } = host;
    const ends = new Set<string>();
    for (let killAt = 2; killAt <= steps; killAt += 1) {
      await renew();
      host.killAt = killAt;
      const plan = await host.plan();
      assert.equal(await host.agent(plan), 'killed');
      host.unannounced = host.announced + 1;
      const ended = await host.agent(plan);
      assert.ok(ended !== 'killed');
      ends.add(ended.state);
      assert.equal(host.untold, 0, `after step ${killAt}`);
      await assertWhole();
    }
    assert.deepEqual([...ends].toSorted(), ['done', 'failed']);
  });

  test('both images stay if the new one is missing after a restart of the host: its storage may not be mounted', async () => {
    await host.agent(await host.plan());
    const { steps } = host;
    let unseen = 0;
    for (let killAt = 2; killAt <= steps; killAt += 1) {
      for (const killedAgain of [true, false]) {
        await renew();
        host.killAt = killAt;
        host.both = true;
        const plan = await host.plan();
        assert.equal(await host.agent(plan), 'killed');
        if (!host.isRecorded('switching') || host.isRecorded('switched')) continue;
        unseen += 1;
        const there = [host.from, host.to].filter((file) => existsSync(file));
        host.unmount();
        host.bootId = 'boot-2';
        // The next agent goes on once the storage is back.
        if (killedAgain) {
          host.killAt = host.steps + 2;
          await host.agent(plan);
          host.mount();
        }
        const ended = await host.agent(plan);
        assert.ok(ended !== 'killed');
        if (!killedAgain) host.mount();
        const left = [host.from, host.to].filter((file) => existsSync(file));
        assert.deepEqual(left, there, `after step ${killAt}`);
        assert.match(`${ended.error?.hint}${ended.note}`, /not mounted|both images are left/);
      }
    }
    assert.ok(unseen > 1);
  });

  test('both images stay after a restart of the host if another host may have recovered the guest from either', async () => {
    await host.agent(await host.plan());
    const { steps } = host;
    let done = 0;
    for (let killAt = 2; killAt <= steps; killAt += 1) {
      for (const bootId of ['boot-2', undefined]) {
        await renew();
        host.killAt = killAt;
        host.both = true;
        const { bootId: first, ...earlier } = await host.plan();
        // An earlier build did not record the boot: it may be another one.
        const plan = bootId === undefined ? earlier : { ...earlier, bootId: first };
        assert.equal(await host.agent(plan), 'killed');
        const there = [host.from, host.to].filter((file) => existsSync(file));
        host.bootId = bootId ?? 'boot-1';
        const ended = await host.agent(plan);
        assert.ok(ended !== 'killed');
        if (ended.state !== 'done') continue;
        done += 1;
        const left = [host.from, host.to].filter((file) => existsSync(file));
        assert.deepEqual(left, there, `after step ${killAt}`);
        assert.match(ended.note ?? '', /both images are left.*another host recovered the guest/);
      }
    }
    assert.ok(done > 2);
  });

  test('a switch that cannot be written down does not delay the guest', async () => {
    host.unwritable = { what: '"switching"', times: 1 };
    const ended = await host.agent(await host.plan());
    assert.ok(ended !== 'killed');
    assert.equal(host.unwritable.times, 0);
    assert.equal(ended.state, 'done', JSON.stringify(ended));
    await assertWhole();
    // The guest could write between, or its copy would not have had to be begun again.
    assert.equal(host.begun, 2);
  });

  test('a switch whose record could not be synced does not count once the guest writes to the old image again', async () => {
    host.unsynced = { what: '"switching"', times: 1 };
    await host.agent(await host.plan());
    const { steps } = host;
    const ends = new Set<string>();
    for (let killAt = 2; killAt <= steps; killAt += 1) {
      await renew();
      host.unsynced = { what: '"switching"', times: 1 };
      host.killAt = killAt;
      host.both = true;
      const plan = await host.plan();
      assert.equal(await host.agent(plan), 'killed');
      host.unsynced.times = 0;
      const ended = await host.agent(plan);
      assert.ok(ended !== 'killed');
      ends.add(ended.state);
      const left = ended.state === 'done' ? host.to : host.from;
      assert.equal(await host.holds(left), host.written, `after step ${killAt}: ${ended.state}`);
    }
    assert.deepEqual([...ends].toSorted(), ['done', 'failed']);
  });

  test('a cancel accepted close to the switch leaves the guest on its old image', async () => {
    host.neverPending = true;
    const synced = Promise.withResolvers<void>();
    host.beforeSync = async (line) => {
      if (line.includes('"switching"')) return synced.promise;
      if (!line.includes('"cancel"')) return;
      host.neverPending = false;
      await host.waiting;
      // The look that saw it has led to a record, or waits for its turn.
      await new Promise((resolve) => setImmediate(resolve));
      setImmediate(synced.resolve);
    };
    const going = host.agent(await host.plan());
    await host.completed;
    assert.equal(await host.cancel(), true);
    const ended = await going;
    assert.ok(ended !== 'killed');
    assert.equal(ended.state, 'cancelled');
    await assertWhole();
  });

  test('a cancel undoes the move, and a cancel that comes too late is refused', async () => {
    const plan = await host.plan();
    host.killAt = 5;
    await host.agent(plan);
    const going = host.agent(plan);
    assert.equal(await host.cancel(), true);
    const ended = await going;
    assert.ok(ended !== 'killed');
    assert.equal(ended.state, 'cancelled');
    assert.equal(await host.cancel(), false);
    await assertWhole();
  });

  async function renew(): Promise<void> {
    await host.close();
    host = await PretendedHost.open();
  }
});
