import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LaterWatches } from '../../../src/agent/host/later-watches.ts';
import type { WatcherProcess } from '../../../src/agent/processes/watcher-process.ts';

/** A process that ends when it is told to. */
function watcher(): { process: WatcherProcess; end: () => Promise<void> } {
  const gone = Promise.withResolvers<void>();
  const later = { sent: 1, answered: 1, gapMs: 0, forMs: 100, complete: false };
  const process = { gone: gone.promise, stop: () => {}, later: () => later };
  const end = async (): Promise<void> => {
    gone.resolve();
    await new Promise(setImmediate);
  };
  return { process: process as unknown as WatcherProcess, end };
}

test('a watch keeps its place, even if another caller requests one under its name', async () => {
  const watches = new LaterWatches('c');
  const [first, second] = [watcher(), watcher()];
  assert.equal(watches.take('a/1', { guest: 'web1' }, first.process), undefined);
  assert.equal(watches.take('a/1', { guest: 'web1' }, second.process), 'c probes it already');
  await second.end();
  assert.equal(watches.of('a/1').later?.ended, undefined);
  await first.end();
  assert.equal(watches.of('a/1').later?.ended, 'its process on c ended');
});

test('an abandoned place is free, and the end of its process does not affect the next watch', async () => {
  const watches = new LaterWatches('c');
  const [first, second] = [watcher(), watcher()];
  watches.take('a/1', { guest: 'web1' }, first.process);
  watches.leave('a/1');
  assert.equal(watches.take('a/1', { guest: 'web1' }, second.process), undefined);
  await first.end();
  assert.equal(watches.of('a/1').later?.ended, undefined);
});

test("a watch that is stopped early gives the reason, and another host's watch of that name continues", async () => {
  const watches = new LaterWatches('c');
  const [first, second] = [watcher(), watcher()];
  watches.take('a/1', { guest: 'web1' }, first.process);
  watches.take('b/1', { guest: 'web2' }, second.process);
  watches.stop('a/1', 'its migration came to nothing');
  await first.end();
  assert.equal(watches.of('a/1').later?.ended, 'its migration came to nothing');
  assert.equal(watches.of('b/1').later?.ended, undefined);
});

test('one host takes three of the four places, and a released place is free again', async () => {
  const watches = new LaterWatches('c');
  const all = Array.from({ length: 5 }, () => watcher());
  const [first, , , refused, others] = all;
  const answers = all
    .slice(0, 4)
    .map(({ process }, nth) => watches.take(`a/${nth}`, { guest: `web${nth}` }, process));
  const full = 'c probes 3 guests for a after their migrations already';
  assert.deepEqual(answers, [undefined, undefined, undefined, full]);
  assert.ok(first !== undefined && refused !== undefined && others !== undefined);
  assert.equal(watches.take('ab/1', { guest: 'db1' }, others.process), undefined);
  assert.equal(
    watches.take('ab/2', { guest: 'db2' }, refused.process),
    'c probes 4 guests after their migrations already',
  );
  await first.end();
  assert.equal(watches.take('a/3', { guest: 'web3' }, refused.process), undefined);
});

test('a watch ends once its guest is moved on, and not because of another guest of that name', async () => {
  const watches = new LaterWatches('c');
  const [one, other] = [watcher(), watcher()];
  watches.take('a/1', { guest: 'web1', to: 'b' }, one.process);
  watches.take('a/2', { guest: 'web2', to: 'b' }, other.process);
  watches.movesAgain('web1', 'evil');
  watches.movesAgain('web2', 'b');
  await one.end();
  await other.end();
  assert.equal(watches.of('a/1').later?.ended, 'its process on c ended');
  assert.equal(watches.of('a/2').later?.ended, 'it was moved again');
});
