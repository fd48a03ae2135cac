import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { came, mayWaitMs, newLink, reported } from '../../src/links/link.ts';

const PIECE = 32 * 1024;

/** Takes a piece every `everyMs` for so long, reporting whenever it may not wait; how often it reported, and the longest wait. */
function stream(everyMs: number, forMs: number) {
  const link = newLink(1);
  let reports = 0;
  let longestMs = 0;
  let unreportedSince: number | undefined;
  for (let nowMs = 0; nowMs < forMs; nowMs += everyMs) {
    came(link, PIECE, nowMs);
    unreportedSince ??= nowMs;
    if (mayWaitMs(link, nowMs) > 0) continue;
    longestMs = Math.max(longestMs, nowMs - unreportedSince);
    unreportedSince = undefined;
    reported(link, nowMs);
    reports += 1;
  }
  return { reports, longestMs, pieces: Math.ceil(forMs / everyMs) };
}

describe('reports of received data', () => {
  test('received data is reported at once while there is little of it', () => {
    const { reports, pieces } = stream(5, 1000);
    assert.equal(reports, pieces);
  });

  test('received data is reported rarely while there is much of it', () => {
    const { reports, pieces } = stream(0.25, 1000);
    assert.ok(reports < pieces / 3, `${reports} times for ${pieces} pieces`);
  });

  test('received data is reported within milliseconds, before much is unreported, at any rate', () => {
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

  test('received data is reported within 2 ms in a fast stream', () => {
    const link = newLink(1);
    for (let nowMs = 0; nowMs < 200; nowMs += 0.5) {
      came(link, PIECE, nowMs);
      if (nowMs >= 40) assert.ok(mayWaitMs(link, nowMs) <= 2);
      if (mayWaitMs(link, nowMs) === 0) reported(link, nowMs);
    }
  });

  test('received data is reported at once after a pause', () => {
    const link = newLink(1);
    for (let nowMs = 0; nowMs < 100; nowMs += 0.25) {
      came(link, PIECE, nowMs);
      if (mayWaitMs(link, nowMs) === 0) reported(link, nowMs);
    }
    came(link, 100, 500);
    assert.equal(mayWaitMs(link, 500), 0);
  });
});
