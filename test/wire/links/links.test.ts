import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { hasCode } from '../../../src/errors.ts';
import { Arrivals, joined, parties } from './parties.ts';

const text = (value: string): Uint8Array => Buffer.from(value, 'latin1');

test('messages of both directions arrive once and in order, and a close ends both sides', async (t) => {
  const { source, target } = await joined(t, await parties(t), { connections: 3 });
  const there = new Arrivals(target);
  const back = new Arrivals(source);
  const large = randomBytes(700_000).toString('latin1');
  for (let count = 0; count < 200; count += 1) {
    await source.send(32, text(`bulk ${count}`));
    await source.send(16, text(`urgent ${count}`));
    await target.send(17, text(`back ${count}`));
  }
  await source.send(33, text(large));
  await source.send(33, text(''));
  await target.send(0, text('done'));
  await back.until(() => back.of(17).length === 200 && back.of(0).length === 1);
  await source.close(10_000);
  await target.ended;
  const counted = (word: string): string[] =>
    Array.from({ length: 200 }, (_, at) => `${word} ${at}`);
  assert.deepEqual(there.of(32), counted('bulk'));
  assert.deepEqual(there.of(16), counted('urgent'));
  assert.deepEqual(back.of(17), counted('back'));
  assert.deepEqual(there.of(33), [large, '']);
  assert.equal(source.unacknowledgedBytes, 0);
});

test('a session outlives the loss of all its connections, at any moment, and nothing is lost or doubled', async (t) => {
  const all = await parties(t);
  const { source, target } = await joined(t, all, { connections: 2 });
  const there = new Arrivals(target);
  const sent: string[] = [];
  for (let count = 0; count < 60; count += 1) {
    const message = `${count} `.padEnd(100_000, 'x');
    sent.push(message);
    await source.send(32 + (count % 2), text(message));
    if (count % 15 === 7) all.proxy.cut();
  }
  await source.close(20_000);
  for (const half of [0, 1]) {
    assert.deepEqual(
      there.of(32 + half),
      sent.filter((_, at) => at % 2 === half),
    );
  }
  assert.ok(source.counters.cuts >= 1);
});

test('an abort ends both sides with its reason', async (t) => {
  const { source, target } = await joined(t, await parties(t));
  source.abort(new Error('a page was not what it said'));
  await assert.rejects(source.ended, /a page was not/);
  await assert.rejects(target.ended, (error) => hasCode(error, 'GODWIT_SESSION_ENDED'));
  await assert.rejects(source.send(32, text('more')), /a page was not/);
});

test('a link that stays away longer than the grace ends the session on both sides', async (t) => {
  const all = await parties(t);
  const { source, target } = await joined(t, all, { graceMs: 300 });
  all.proxy.refusing = true;
  all.proxy.cut();
  for (const session of [source, target]) {
    await assert.rejects(session.ended, (error) => hasCode(error, 'GODWIT_LINK_LOST'));
  }
});
