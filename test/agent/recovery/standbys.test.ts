import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Standbys } from '../../../src/agent/recovery/standbys.ts';
import { afterHeartbeat, afterKernelLook } from '../../../src/migration/standby/source-sight.ts';
import { standbyOffer } from '../../../src/protocol/peer/standby.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const KEY = 'ab'.repeat(32);
const ONE = '1'.repeat(64);
const TWO = '2'.repeat(64);

/** Time that passes when the test says so. */
class Time {
  now = 1_000_000_000;
  /** What somebody has set the wall clock forward or back by. */
  set = 0;
  readonly monotonicMs = (): number => this.now;
  readonly wallMs = (): number => this.now + this.set + 1_700_000_000_000;
}

interface Offered {
  readonly from?: string;
  readonly memoryBytes?: number;
  readonly digest?: string;
}

const offer = (guest: string, { from = 'a', memoryBytes = 7, digest }: Offered = {}) =>
  standbyOffer.parse({
    admission: { id: 'c-0000000000000001', guest, from, memoryBytes, epoch: 1, timeoutMs: 1 },
    preparation: {
      epoch: 1,
      description: {
        driver: 'fake',
        name: guest,
        memoryBytes,
        vcpus: 1,
        hypervisorVersion: '1',
        spec: {},
      },
      stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
    },
    ...(digest === undefined ? {} : { digest }),
  });

const names = (kept: Standbys): string[] =>
  kept.list().map(({ standby: { from, guest } }) => `${from} ${guest}`);

test('what is kept of a guest outlives the agent, and the newest counts', (t) => {
  const dir = tempDir(t);
  const time = new Time();
  const kept = new Standbys(dir, 'b', time);
  kept.keep(offer('web1'), KEY);
  kept.keep(offer('web1', { memoryBytes: 8 }), KEY);
  kept.keep(offer('web1', { from: 'c' }), KEY);
  const again = new Standbys(dir, 'b', time);
  const listed = again.list().map(({ standby }) => `${standby.from} ${standby.memoryBytes}`);
  assert.deepEqual(listed.toSorted(), ['a 8', 'c 7']);
  assert.equal(again.need('a', 'web1').kept.placeKey, KEY);
  again.forget('a', 'web1');
  assert.throws(() => again.need('a', 'web1'), { code: 'GODWIT_STANDBY_NONE' });
  assert.equal(new Standbys(dir, 'b', time).list().length, 1);
});

test('a file that is damaged, or another guest’s, starts nothing', (t) => {
  const dir = tempDir(t);
  const time = new Time();
  const kept = new Standbys(dir, 'b', time);
  kept.keep(offer('web1'), KEY);
  kept.keep(offer('web2'), KEY);
  writeFileSync(path.join(dir, 'standbys', 'a', 'web1.json'), '{"version":1');
  const other = { ...offer('web3'), version: 1, keptAt: '2026-11-24T10:00:00.000Z', placeKey: KEY };
  writeFileSync(path.join(dir, 'standbys', 'a', 'web2.json'), JSON.stringify(other));
  for (const guest of ['web1', 'web2'])
    assert.throws(() => new Standbys(dir, 'b', time).need('a', guest), {
      code: 'GODWIT_STANDBY_NONE',
    });
});

test('one host fills no other host’s disk with guests, and a place that is given up is free again', (t) => {
  const dir = tempDir(t);
  const kept = new Standbys(dir, 'b', new Time(), 8);
  for (let index = 0; index < 8; index += 1) kept.keep(offer(`g${index}`), KEY);
  assert.throws(() => kept.keep(offer('more'), KEY), { code: 'GODWIT_OVERLOADED' });
  kept.keep(offer('g7', { memoryBytes: 9 }), KEY);
  kept.keep(offer('web1', { from: 'c' }), KEY);
  assert.equal(kept.list().length, 9);
  kept.confirm('a', { guests: [], withdrawn: ['g0', 'nobody'] });
  kept.keep(offer('more'), KEY);
  assert.equal(kept.list().length, 9);
  const all = ['more', ...Array.from({ length: 8 }, (_, index) => `g${index}`)];
  kept.confirm('a', { guests: [], withdrawn: all });
  assert.deepEqual(names(kept), ['c web1']);
  assert.equal(existsSync(path.join(dir, 'standbys', 'a')), false);
});

test('one host withdraws and confirms its own guests, and no other host’s', (t) => {
  const kept = new Standbys(tempDir(t), 'b', new Time());
  kept.keep(offer('web1', { digest: ONE }), KEY);
  const guests = [{ guest: 'web1', digest: ONE }];
  assert.deepEqual(kept.confirm('c', { guests, withdrawn: ['web1'] }), ['web1']);
  assert.deepEqual(names(kept), ['a web1']);
});

test('a description stays fresh with each heartbeat, and is stale once its host outlives the last one', (t) => {
  const time = new Time();
  const kept = new Standbys(tempDir(t), 'b', time);
  kept.keep(offer('web1', { digest: ONE }), KEY);
  const stateAt = (silentAtMs: number) => {
    const { view } = kept.need('a', 'web1');
    const sight = afterKernelLook(afterHeartbeat({}, time.now), 'silent', silentAtMs);
    return kept.stateOf(view, sight).freshness.kind;
  };
  assert.equal(stateAt(time.now + 60_000), 'fresh');
  assert.equal(stateAt(time.now + 60_001), 'stale');
  time.now += 3_600_000;
  assert.equal(stateAt(time.now), 'stale');
  const guests = [{ guest: 'web1', digest: ONE }];
  assert.deepEqual(kept.confirm('a', { guests, withdrawn: [] }), []);
  assert.equal(stateAt(time.now), 'fresh');
  // The guest's hypervisor does not answer its host: nothing is confirmed.
  time.now += 61_000;
  kept.confirm('a', { guests: [{ guest: 'web1' }], withdrawn: [] });
  assert.equal(stateAt(time.now), 'stale');
});

test('a change that its host reported outlives the agent, and another description ends it', (t) => {
  const dir = tempDir(t);
  const time = new Time();
  const kept = new Standbys(dir, 'b', time);
  kept.keep(offer('web1', { digest: ONE }), KEY);
  const changed = { guests: [{ guest: 'web1', digest: TWO }], withdrawn: [] };
  assert.deepEqual(kept.confirm('a', changed), ['web1']);
  const again = new Standbys(dir, 'b', time);
  const freshness = () => again.stateOf(again.need('a', 'web1').view, {}).freshness;
  const judged = freshness();
  assert.match(judged.kind === 'stale' ? judged.reason : '', /have changed since/);
  again.keep(offer('web1', { digest: TWO }), KEY);
  assert.equal(freshness().kind, 'fresh');
});

test('after a restart of the agent the age of a description goes on, and a clock that was set back confirms nothing', (t) => {
  const dir = tempDir(t);
  const time = new Time();
  new Standbys(dir, 'b', time).keep(offer('web1', { digest: ONE }), KEY);
  const judged = () => {
    const again = new Standbys(dir, 'b', time);
    return again.stateOf(again.need('a', 'web1').view, {}).freshness.kind;
  };
  time.now += 59_000;
  assert.equal(judged(), 'fresh');
  time.now += 2000;
  assert.equal(judged(), 'stale');
  time.set = -3_600_000;
  assert.equal(judged(), 'stale');
});

test('a description of an earlier build is kept, and counts as never confirmed', (t) => {
  const dir = tempDir(t);
  const time = new Time();
  const kept = new Standbys(dir, 'b', time);
  kept.keep(offer('web1'), KEY);
  const { view } = kept.need('a', 'web1');
  const { freshness } = kept.stateOf(view, {});
  assert.match(freshness.kind === 'stale' ? freshness.reason : '', /never confirmed/);
});

test('a description of a host that the guest has left is stale once its next host described it', (t) => {
  const time = new Time();
  const kept = new Standbys(tempDir(t), 'b', time);
  kept.keep(offer('web1', { digest: ONE }), KEY);
  time.now += 1000;
  kept.keep(offer('web1', { from: 'c', digest: TWO }), KEY);
  const reasonAt = (from: string) => {
    const { freshness } = kept.stateOf(kept.need(from, 'web1').view, {});
    return freshness.kind === 'stale' ? freshness.reason : 'fresh';
  };
  assert.match(reasonAt('a'), /c had the guest later/);
  assert.equal(reasonAt('c'), 'fresh');
});
