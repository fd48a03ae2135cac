import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  afterHeartbeat,
  afterKernelLook,
  mayHaveLivedUntilMs,
} from '../../../src/migration/standby/source-sight.ts';
import type { SourceSight } from '../../../src/migration/standby/source-sight.ts';

test('a host may have lived until it was first found silent, and until now if it never was', () => {
  const silent = afterKernelLook(
    afterKernelLook(afterHeartbeat({}, 10), 'silent', 30),
    'silent',
    50,
  );
  assert.equal(mayHaveLivedUntilMs(silent, 90), 30);
  assert.equal(mayHaveLivedUntilMs(afterHeartbeat(silent, 60), 90), 90);
  assert.equal(mayHaveLivedUntilMs(afterKernelLook(silent, 'answers', 60), 90), 90);
  assert.equal(mayHaveLivedUntilMs(afterKernelLook(silent, 'unknown', 60), 90), 90);
  assert.equal(mayHaveLivedUntilMs({}, 90), 90);
});

test('whatever was observed, a sign of life is never later than the moment until which it may have lived', () => {
  const seen = fc.constantFrom('heartbeat', 'answers', 'silent', 'unknown');
  fc.assert(
    fc.property(fc.array(fc.tuple(seen, fc.integer({ min: 1, max: 100 }))), (all) => {
      let sight: SourceSight = {};
      let nowMs = 0;
      let aliveAtMs = 0;
      for (const [what, passedMs] of all) {
        nowMs += passedMs;
        if (what === 'heartbeat' || what === 'answers') aliveAtMs = nowMs;
        sight =
          what === 'heartbeat' ? afterHeartbeat(sight, nowMs) : afterKernelLook(sight, what, nowMs);
        const isBoth = sight.silentSinceMs !== undefined && sight.answersSinceMs !== undefined;
        assert.equal(isBoth, false);
      }
      assert.ok(mayHaveLivedUntilMs(sight, nowMs) >= aliveAtMs);
    }),
  );
});
