import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Path, world } from './simulated.ts';

function long(bytesPerS: number, roundTripMs: number): Path {
  const path = new Path(bytesPerS, roundTripMs);
  path.copies = false;
  return path;
}

const GBIT = 125_000_000;
const MESSAGE = new Uint8Array(256 * 1024);

/** Keeps one sender waiting all the time. */
function flood({ time, source }: ReturnType<typeof world>, channel = 32): void {
  const more = (): void => {
    while (source.senders.isEmpty) source.send(channel, MESSAGE);
    time.after(1, more);
  };
  more();
}

function bytesFrom(fromMs: number, { target }: ReturnType<typeof world>, channel = 32): number {
  return target.taken
    .filter((each) => each.atMs >= fromMs && each.channel === channel)
    .reduce((sum, { message }) => sum + message.length, 0);
}

for (const [bytesPerS, roundTripMs, ways] of [
  [GBIT, 150, 4],
  [GBIT, 150, 1],
  [GBIT, 1, 1],
  [GBIT / 10, 10, 2],
  [GBIT / 10, 300, 2],
  [GBIT / 100, 40, 1],
] as const) {
  const name = `${(bytesPerS * 8) / 1e6} Mbit/s with a round trip of ${roundTripMs} ms`;
  test(`${name} are used for 90 % and more, once the session has found out what they carry`, () => {
    const made = world(long(bytesPerS, roundTripMs), ways);
    made.source.core.outbox.windowBytes = 48 * 1024 * 1024;
    flood(made);
    made.time.run(5000);
    made.time.run(9000);
    const used = bytesFrom(5000, made) / 4 / bytesPerS;
    assert.ok(used > 0.9 && used < 1.01, `${used}`);
    const { measure } = { measure: made.source.core.measure(made.time.nowMs) };
    const rate = measure.bytesPerS / bytesPerS;
    assert.ok(rate > 0.85 && rate < 1.15, `the rate is told as ${rate} of what it is`);
    const trip = measure.roundTripMs / roundTripMs;
    assert.ok(
      trip > 0.9 && measure.roundTripMs < roundTripMs + 65_536_000 / bytesPerS + 5,
      `${trip}`,
    );
  });

  test(`${name}: what is urgent waits for little, however much bulk there is`, () => {
    const made = world(long(bytesPerS, roundTripMs), ways);
    made.source.core.outbox.windowBytes = 48 * 1024 * 1024;
    flood(made);
    made.time.run(5000);
    const sentAtMs = made.time.nowMs;
    made.source.send(16, new Uint8Array(4096));
    made.time.run(8000);
    const there = made.target.taken.find(({ channel }) => channel === 16);
    assert.ok(there !== undefined);
    const waitedMs = there.atMs - sentAtMs - roundTripMs / 2;
    const leastFlightMs = (2 * 128 * 1024 * 1000) / bytesPerS;
    assert.ok(waitedMs < Math.max(30, leastFlightMs), `it waited ${waitedMs} ms`);
  });
}

for (const [beforeBytesPerS, afterBytesPerS, roundTripMs] of [
  [GBIT / 10, GBIT / 100, 20],
  [GBIT / 10, GBIT, 20],
  [GBIT / 10, GBIT, 100],
] as const) {
  const of = (bytesPerS: number): string => `${(bytesPerS * 8) / 1e6} Mbit/s`;
  test(`a link that goes from ${of(beforeBytesPerS)} to ${of(afterBytesPerS)} at ${roundTripMs} ms is used as it then is`, () => {
    const path = long(beforeBytesPerS, roundTripMs);
    const made = world(path, 2);
    made.source.core.outbox.windowBytes = 48 * 1024 * 1024;
    flood(made);
    made.time.run(5000);
    path.bytesPerMs = afterBytesPerS / 1000;
    made.time.run(13_000);
    made.time.run(15_000);
    const used = bytesFrom(13_000, made) / 2 / afterBytesPerS;
    const oneMore = MESSAGE.length / 2 / afterBytesPerS;
    assert.ok(used > 0.9 && used < 1.01 + oneMore, `${used}`);
    const sentAtMs = made.time.nowMs;
    made.source.send(16, new Uint8Array(4096));
    made.time.run(19_000);
    const there = made.target.taken.find(({ channel }) => channel === 16);
    assert.ok(there !== undefined);
    const waitedMs = there.atMs - sentAtMs - roundTripMs / 2;
    const leastFlightMs = (2 * 128 * 1024 * 1000) / afterBytesPerS;
    assert.ok(waitedMs < Math.max(30, leastFlightMs), `it waited ${waitedMs} ms`);
  });
}

test('the round trip is told without what waits on the way, after minutes of a full link and after a change of it', () => {
  const path = long(GBIT / 10, 10);
  const made = world(path, 2);
  flood(made);
  made.time.run(150_000);
  const { roundTripMs } = made.source.core.measure(made.time.nowMs);
  assert.ok(roundTripMs >= 10 && roundTripMs < 20, `${roundTripMs}`);
  path.delayMs = 30;
  made.time.run(190_000);
  const later = made.source.core.measure(made.time.nowMs).roundTripMs;
  assert.ok(later >= 60 && later < 75, `${later}`);
  const used = (): number => bytesFrom(made.time.nowMs - 2000, made) / 2 / (GBIT / 10);
  made.time.run(200_000);
  assert.ok(used() > 0.9, `${used()}`);
});
