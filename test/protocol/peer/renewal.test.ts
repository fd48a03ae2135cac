import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  judgeRenewal,
  lifetimeMs,
  renewalDueMs,
  retryPauseMs,
  SKEW_MS,
  type IssuedRecord,
  type RenewalAsked,
} from '../../../src/protocol/peer/renewal.ts';

const DAY_MS = 86_400_000;
const jitter = fc.double({ min: 0, max: 1, noNaN: true });
const days = fc.double({ min: 0.0001, max: 3650, noNaN: true });
const made = fc.integer({ min: 0, max: 4e12 });
const lifeOf = (madeMs: number, forDays: number) => ({
  fromMs: madeMs - SKEW_MS,
  toMs: madeMs + forDays * DAY_MS,
});

test("a host renews with about a third of its certificate's life left, never later, whatever its length", () => {
  fc.assert(
    fc.property(made, days, jitter, (madeMs, forDays, chance) => {
      const life = lifeOf(madeMs, forDays);
      const due = renewalDueMs(life, { jitter: chance, startedMs: 0, asked: true });
      const left = (life.toMs - due) / lifetimeMs(life);
      assert.ok(left >= 1 / 3 - 1e-6 && left <= 1 / 3 + 1 / 24 + 1e-6, `${left}`);
    }),
  );
});

test('a long-lived certificate is shown to the CA soon after the start, and then on schedule', () => {
  fc.assert(
    fc.property(fc.integer({ min: 91, max: 3650 }), jitter, (forDays, chance) => {
      const life = lifeOf(1e12, forDays);
      const startedMs = 1e12 + DAY_MS;
      const due = renewalDueMs(life, { jitter: chance, startedMs, asked: false });
      assert.ok(due >= startedMs && due <= startedMs + 10 * 60_000);
      const later = renewalDueMs(life, { jitter: chance, startedMs, asked: true });
      assert.ok(later > startedMs + forDays * 0.4 * DAY_MS);
    }),
  );
});

test('failed attempts become less frequent, but one always comes before the certificate ends', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.integer({ min: 16_000, max: 3650 * DAY_MS }),
      (failures, leftMs) => {
        const pause = retryPauseMs(failures, leftMs);
        assert.ok(pause >= 1000 && pause <= 6 * 3_600_000 && pause < leftMs);
        assert.ok(retryPauseMs(failures + 1, leftMs) >= pause);
      },
    ),
  );
});

test('an expired certificate is retried with a pause', () => {
  assert.equal(retryPauseMs(50, -5), 60_000);
});

/** A name, its host and a thief: what the CA answers to whom, over any order of what they do. */
interface Holder {
  serial: string;
  fromMs: number;
  toMs: number;
  key: string;
  /** The key that it has made for the next one. */
  next: string;
  /** What it asked last was answered, and the answer was lost. */
  lost?: boolean;
}

const step = fc.record({
  who: fc.constantFrom('host', 'thief'),
  does: fc.constantFrom('renew', 'renew', 'lose the answer', 'steal', 'wait'),
});

test('only one of two holders of a certificate continues, and the second is reported', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let nowMs = 1e12;
      let last: IssuedRecord | undefined;
      let count = 0;
      const validity = () => lifeOf(nowMs, 30);
      const give = (key: string, shown: string): RenewalAsked => {
        const serial = `s${(count += 1)}`;
        const renewal = { shown, key, certificate: serial };
        last = { serial, at: '', fromMs: validity().fromMs, days: 30, renewal };
        return { serial, ...validity(), key };
      };
      const first = give('k0', 'none');
      const holders: Record<string, Holder | undefined> = {
        host: { ...first, next: 'host-1' },
      };
      let keys = 1;
      const issuedTo = new Map<string, string>([[first.serial, 'host']]);
      for (const { who, does } of steps) {
        // Less than half of a life: nobody's certificate ends between two steps that renew.
        if (does === 'wait') nowMs += 8 * DAY_MS;
        if (does === 'steal' && holders['host'] !== undefined) {
          holders['thief'] ??= { ...holders['host'], next: 'thief-1' };
        }
        const holder = holders[who];
        if (holder === undefined || (does !== 'renew' && does !== 'lose the answer')) continue;
        nowMs += 1000;
        const asked = { ...holder, key: holder.next };
        const before = last;
        const verdict = judgeRenewal(before, asked, nowMs);
        if (verdict === 'superseded') {
          // The last one went to somebody else, who showed what both had or what came of it.
          assert.notEqual(issuedTo.get(before?.serial ?? ''), who);
          continue;
        }
        if (verdict === 'keep') {
          assert.equal(before?.serial, holder.serial);
          continue;
        }
        const got =
          verdict === 'again'
            ? { serial: before?.renewal?.certificate ?? '', fromMs: before?.fromMs ?? 0 }
            : give(holder.next, holder.serial);
        // Nobody gets a certificate for a key of another.
        assert.equal(last?.renewal?.key, holder.next);
        issuedTo.set(got.serial, who);
        if (does === 'renew') {
          keys += 1;
          const next = `${who}-${keys}`;
          const toMs = (got.fromMs ?? 0) + SKEW_MS + 30 * DAY_MS;
          holders[who] = { serial: got.serial, fromMs: got.fromMs, toMs, key: holder.next, next };
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test("a certificate newer than the CA's records was issued before the CA was restored", () => {
  const last = { serial: 'a', at: '', fromMs: 1000, days: 30 };
  const asked = { serial: 'b', toMs: 30 * DAY_MS, key: 'k' };
  assert.equal(judgeRenewal(last, { ...asked, fromMs: 1001 }, 2000), 'issue');
  assert.equal(judgeRenewal(last, { ...asked, fromMs: 1000 }, 2000), 'superseded');
  assert.equal(judgeRenewal(undefined, { ...asked, fromMs: 0 }, 2000), 'issue');
});

test('a certificate of a CA that no longer issues is renewed early, and only for the last holder', () => {
  const last = { serial: 'a', at: '', fromMs: 1000, days: 30 };
  const asked = { fromMs: 1000, toMs: 30 * DAY_MS, key: 'k' };
  assert.equal(judgeRenewal(last, { ...asked, serial: 'a' }, 2000), 'keep');
  assert.equal(judgeRenewal(last, { ...asked, serial: 'a', otherCa: true }, 2000), 'issue');
  assert.equal(judgeRenewal(last, { ...asked, serial: 'b', otherCa: true }, 2000), 'superseded');
});
