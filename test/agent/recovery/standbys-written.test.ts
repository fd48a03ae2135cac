import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { until } from '../../until.ts';
import {
  KEY,
  ONE,
  TWO,
  Time,
  offer,
  standbysAt,
  stateDir,
  reasonOf,
  nextAgent,
} from './kept-standbys.ts';

test('heartbeats that flip a digest are counted at once, and share one write a second', async (t) => {
  const dir = stateDir(t);
  const time = new Time();
  const pauses: { readonly ms: number; readonly end: () => void }[] = [];
  const sleep = (ms: number) => new Promise<void>((end) => pauses.push({ ms, end }));
  const kept = standbysAt(dir, time, { sleep });
  const beat = (digest: string) =>
    kept.confirm('a', { guests: [{ guest: 'web1', digest }], withdrawn: [] });
  kept.keep(offer('web1', { digest: ONE }), KEY);
  await kept.settled('a');
  const file = path.join(dir, 'standbys', 'a', 'confirmed');
  const before = readFileSync(file, 'utf8');
  time.now += 400;
  const asked = Array.from({ length: 100 }, (_, index) => {
    beat(index % 2 === 0 ? TWO : ONE);
    return kept.settled('a');
  });
  beat(TWO);
  assert.match(reasonOf(kept), /have changed since/);
  await until('the pause before the write', 10_000, async () => pauses[0]);
  assert.deepEqual([pauses.map(({ ms }) => ms), readFileSync(file, 'utf8')], [[600], before]);
  pauses[0]?.end();
  await Promise.all(asked);
  assert.equal(pauses.length, 1);
  assert.match(reasonOf(standbysAt(dir, time)), /have changed since/);
});

test('a crash before the confirmations are written leaves an older description, never a fresher one', async (t) => {
  const dir = stateDir(t);
  const time = new Time();
  const untilClosed = (_ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
  const kept = standbysAt(dir, time, { sleep: untilClosed });
  kept.keep(offer('web1', { digest: ONE }), KEY);
  await kept.settled('a');
  // Described again, with other disks: the confirmation of the new description has yet to be written.
  kept.keep(offer('web1', { digest: TWO }), KEY);
  assert.equal(reasonOf(kept), 'fresh');
  assert.match(reasonOf(standbysAt(dir, time)), /have changed since/);
  // Confirmed again, as it is on the disk.
  kept.keep(offer('web1', { digest: ONE }), KEY);
  time.now += 299_000;
  kept.confirm('a', { guests: [{ guest: 'web1', digest: ONE }], withdrawn: [] });
  time.now += 2000;
  assert.equal(reasonOf(kept), 'fresh');
  assert.match(reasonOf(standbysAt(dir, time)), /lived for 301 s/);
});

test('a change that cannot be written is refused, and written with a later heartbeat', async (t) => {
  const dir = stateDir(t);
  const time = new Time();
  const kept = standbysAt(dir, time);
  kept.keep(offer('web1', { digest: ONE }), KEY);
  await kept.settled('a');
  const blocker = path.join(dir, 'standbys', 'a', 'confirmed.tmp');
  mkdirSync(blocker);
  const change = { guests: [{ guest: 'web1', digest: TWO }], withdrawn: [] };
  kept.confirm('a', change);
  await assert.rejects(kept.settled('a'), { code: 'EISDIR' });
  rmdirSync(blocker);
  kept.confirm('a', change);
  assert.match(reasonOf(await nextAgent(kept, dir, time)), /have changed since/);
});

test('a host whose last description is dropped while its confirmations are written leaves nothing behind', async (t) => {
  const dir = stateDir(t);
  const kept = standbysAt(dir);
  kept.keep(offer('web1', { digest: ONE }), KEY);
  kept.forget('a', 'web1');
  await kept.settled('a');
  assert.equal(existsSync(path.join(dir, 'standbys', 'a')), false);
});

test('closing writes the pending confirmations', async (t) => {
  const dir = stateDir(t);
  const time = new Time();
  const kept = standbysAt(dir, time, { sleep: (ms, signal) => systemClock.sleep(ms, signal) });
  kept.keep(offer('web1', { digest: ONE }), KEY);
  await kept.settled('a');
  kept.confirm('a', { guests: [{ guest: 'web1', digest: TWO }], withdrawn: [] });
  await kept.close();
  assert.match(reasonOf(standbysAt(dir, time)), /have changed since/);
});
