import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Path, world } from './simulated.ts';

const GBIT = 125_000_000;
const MESSAGE = new Uint8Array(256 * 1024);
type World = ReturnType<typeof world>;

function long(bytesPerS: number, roundTripMs: number): Path {
  const path = new Path(bytesPerS, roundTripMs);
  path.copies = false;
  return path;
}

/** Keeps one sender of bulk waiting all the time. */
function flooded(path: Path, ways: number): World {
  const made = world(path, ways);
  made.source.core.outbox.windowBytes = 48 * 1024 * 1024;
  const more = (): void => {
    while (made.source.senders.isEmpty) made.source.send(32, MESSAGE);
    made.time.after(1, more);
  };
  more();
  return made;
}

/** Over that time from now on, of what the link carries as it is now. */
function useOver(ms: number, made: World, path: Path): number {
  const fromMs = made.time.nowMs;
  made.time.run(fromMs + ms);
  const bytes = made.target.taken
    .filter(({ atMs, channel }) => atMs >= fromMs && channel === 32)
    .reduce((sum, { message }) => sum + message.length, 0);
  return bytes / (path.bytesPerMs * ms);
}

function isFull(use: number, ms: number, path: Path): void {
  const oneMore = MESSAGE.length / (path.bytesPerMs * ms);
  assert.ok(use > 0.9 && use < 1.01 + oneMore, `${use} of the link is used`);
}

/** An urgent message now: 30 ms, or what the least that may be on the way takes. */
function urgentIsSoonThere(made: World, path: Path): void {
  const sentAtMs = made.time.nowMs;
  made.source.send(16, new Uint8Array(4096));
  const arrived = () => made.target.taken.find(({ channel }) => channel === 16);
  for (let ms = 50; ms <= 4000 && arrived() === undefined; ms += 50) made.time.run(sentAtMs + ms);
  const there = arrived();
  assert.ok(there !== undefined);
  const waitedMs = there.atMs - sentAtMs - path.delayMs;
  const leastFlightMs = (2 * 128 * 1024) / path.bytesPerMs;
  assert.ok(waitedMs < Math.max(30, leastFlightMs), `it waited ${waitedMs} ms`);
}

for (const [bytesPerS, roundTripMs, ways] of [
  [GBIT, 150, 4],
  [GBIT, 150, 1],
  [GBIT, 1, 1],
  [GBIT / 10, 10, 2],
  [GBIT / 10, 300, 2],
  [GBIT / 100, 40, 1],
] as const) {
  const name = `${(bytesPerS * 8) / 1e6} Mbit/s, ${roundTripMs} ms, connections: ${ways}`;
  test(`a link is used at 90 % and more, and urgent data waits only briefly: ${name}`, () => {
    const path = long(bytesPerS, roundTripMs);
    const made = flooded(path, ways);
    made.time.run(3000);
    // Long enough that one message more or less does not matter.
    const overMs = bytesPerS < GBIT / 20 ? 4000 : 1000;
    isFull(useOver(overMs, made, path), overMs, path);
    const measure = made.source.core.measure(made.time.nowMs);
    const rate = measure.bytesPerS / bytesPerS;
    assert.ok(rate > 0.85 && rate < 1.15, `the rate is reported as ${rate} of what it is`);
    const oneFrameMs = 65_536_000 / bytesPerS;
    const beyondMs = measure.roundTripMs - roundTripMs;
    assert.ok(beyondMs > -1 && beyondMs < oneFrameMs + 5, `${measure.roundTripMs} ms`);
    urgentIsSoonThere(made, path);
  });
}

for (const [before, after, roundTripMs] of [
  [GBIT / 10, GBIT / 100, 20],
  [GBIT / 10, GBIT / 4, 100],
] as const) {
  const name = `${(before * 8) / 1e6} to ${(after * 8) / 1e6} Mbit/s at ${roundTripMs} ms`;
  test(`a link whose rate changes is used at its new rate: ${name}`, () => {
    const path = long(before, roundTripMs);
    const made = flooded(path, 2);
    made.time.run(5000);
    path.bytesPerMs = after / 1000;
    made.time.run(13_000);
    isFull(useOver(2000, made, path), 2000, path);
    urgentIsSoonThere(made, path);
  });
}

test('the round trip is measured without queueing, after minutes of a full link and after its change', () => {
  const path = long(GBIT / 20, 10);
  const made = flooded(path, 2);
  made.time.run(100_000);
  const { roundTripMs } = made.source.core.measure(made.time.nowMs);
  assert.ok(roundTripMs >= 10 && roundTripMs < 25, `${roundTripMs}`);
  path.delayMs = 50;
  made.time.run(108_000);
  const later = made.source.core.measure(made.time.nowMs).roundTripMs;
  assert.ok(later >= 100 && later < 115, `${later}`);
  isFull(useOver(5000, made, path), 5000, path);
});
