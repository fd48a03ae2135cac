import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { verifyAnswer } from '../../../src/protocol/peer/verify.ts';

const LOOK = { name: 'disks', side: 'destination', verdict: 'pass', evidence: 'one' };

describe("the destination's observations", () => {
  test("the destination's observations accept fields of later builds", () => {
    const later = { checks: [{ ...LOOK, more: 1 }], machine: { any: 1 }, more: 2 };
    assert.deepEqual(verifyAnswer.parse(later), { checks: [LOOK], machine: { any: 1 } });
  });

  test("the destination's observations are bounded", () => {
    const many = { checks: Array.from({ length: 97 }, () => LOOK) };
    assert.equal(verifyAnswer.safeParse(many).success, false);
    const long = { checks: [{ ...LOOK, evidence: 'x'.repeat(100_000) }] };
    assert.equal(verifyAnswer.safeParse(long).success, false);
  });
});
