import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { came, mayWaitMs, newLink, reported } from '../../src/links/link.ts';

const PIECE = 32 * 1024;

/** Takes a piece every `everyMs` for so long, telling whenever it may not wait; how often it told, and the longest wait. */
function stream(everyMs: number, forMs: number) {
  const link = newLink(1);
  let tellings = 0;
  let longestMs = 0;
  let unreportedSince: number | undefined;
  for (let nowMs = 0; nowMs < forMs; nowMs += everyMs) {
    came(link, PIECE, nowMs);
    unreportedSince ??= nowMs;
    if (mayWaitMs(link, nowMs) > 0) continue;
    longestMs = Math.max(longestMs, nowMs - unreportedSince);
    unreportedSince = undefined;
    reported(link, nowMs);
    tellings += 1;
  }
  return { tellings, longestMs, pieces: Math.ceil(forMs / everyMs) };
}

describe('what came on a link', () => {
  test('is told of at once while little comes', () => {
    const { tellings, pieces } = stream(5, 1000);
    assert.equal(tellings, pieces);
  });

  test('is told of seldom while much comes', () => {
    const { tellings, pieces } = stream(0.25, 1000);
    assert.ok(tellings < pieces / 3, `${tellings} times for ${pieces} pieces`);
  });

  test('is told of within some milliseconds, and before much of it is untold, at any rate', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 50, noNaN: true }), (everyMs) => {
        const link = newLink(1);
        for (let nowMs = 0; nowMs < 200; nowMs += everyMs) {
          came(link, PIECE, nowMs);
          assert.ok(mayWaitMs(link, nowMs) <= 5);
          assert.ok(link.unreportedBytes <= 256 * 1024);
          if (mayWaitMs(link, nowMs) === 0) reported(link, nowMs);
        }
        assert.equal(mayWaitMs(link, 1000), 0);
      }),
    );
  });

  test('is told of within 2 ms in a broad stream', () => {
    const link = newLink(1);
    for (let nowMs = 0; nowMs < 200; nowMs += 0.5) {
      came(link, PIECE, nowMs);
      if (nowMs >= 40) assert.ok(mayWaitMs(link, nowMs) <= 2);
      if (mayWaitMs(link, nowMs) === 0) reported(link, nowMs);
    }
  });

  test('is told of at once after a pause', () => {
    const link = newLink(1);
    for (let nowMs = 0; nowMs < 100; nowMs += 0.25) {
      came(link, PIECE, nowMs);
      if (mayWaitMs(link, nowMs) === 0) reported(link, nowMs);
    }
    came(link, 100, 500);
    assert.equal(mayWaitMs(link, 500), 0);
  });
});
