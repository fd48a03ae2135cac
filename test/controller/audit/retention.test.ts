import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  callerKey,
  cutShares,
  rankOf,
  type AuditShare,
} from '../../../src/controller/audit/retention.ts';

const share = fc.record({
  rank: fc.constantFrom('administrator' as const, 'change' as const, 'attempt' as const),
  caller: fc.constantFrom('web admin ann', 'web viewer eve', 'certificate agent a', 'strangers'),
  count: fc.integer({ min: 1, max: 500 }),
  newestMs: fc.nat(1000),
});
const shares = fc.uniqueArray(share, { selector: ({ rank, caller }) => `${rank} ${caller}` });
const log = fc.record({ all: shares, most: fc.integer({ min: 1, max: 1000 }) });

/** The number of entries of each share that remain. */
function kept(all: readonly AuditShare[], most: number): (AuditShare & { keep: number })[] {
  const cuts = new Map(cutShares(all, most).map((cut) => [`${cut.rank} ${cut.caller}`, cut.keep]));
  return all.map((each) => {
    return { ...each, keep: cuts.get(`${each.rank} ${each.caller}`) ?? each.count };
  });
}

const total = (all: readonly { readonly keep: number }[]): number =>
  all.reduce((sum, { keep }) => sum + keep, 0);

describe('the shares of the audit log', () => {
  test('the shares fill the log, and never more', () => {
    fc.assert(
      fc.property(log, ({ all, most }) => {
        const entries = all.reduce((sum, { count }) => sum + count, 0);
        assert.equal(total(kept(all, most)), Math.min(entries, most));
      }),
    );
  });

  test('a caller loses entries, to one entry, only while no other caller of its kind keeps more', () => {
    fc.assert(
      fc.property(log, ({ all, most }) => {
        const after = kept(all, most);
        for (const isAdministrator of [true, false]) {
          const own = after.filter(({ rank }) => (rank === 'administrator') === isAdministrator);
          const largest = Math.max(0, ...own.map(({ keep }) => keep));
          for (const { keep, count } of own) assert.ok(keep === count || keep >= largest - 1);
        }
      }),
    );
  });

  test('administrators lose no entry while they have three quarters of the log or less', () => {
    fc.assert(
      fc.property(log, ({ all, most }) => {
        const own = kept(all, most).filter(({ rank }) => rank === 'administrator');
        const before = own.reduce((sum, { count }) => sum + count, 0);
        if (before <= Math.floor((most * 3) / 4)) assert.equal(total(own), before);
      }),
    );
  });

  test('a flood of one caller takes no entry of another caller with a smaller share', () => {
    fc.assert(
      fc.property(log, fc.nat(100_000), ({ all, most }, more) => {
        const [flooding, ...others] = all;
        if (flooding === undefined || flooding.rank === 'administrator') return;
        const before = kept(all, most);
        const after = kept([{ ...flooding, count: flooding.count + more }, ...others], most);
        const flood = after[0]?.keep ?? 0;
        for (const [at, { keep }] of after.entries())
          assert.ok(at === 0 || keep === before[at]?.keep || keep >= flood - 1);
      }),
    );
  });
});

test('strangers are one caller; a certificate is a different caller than a token of the same name', () => {
  const key = (by: string, role = 'operator', who = 'ann') => callerKey({ who, role, by });
  assert.equal(key('none', 'none', '10.0.0.1'), key('none', 'none', '10.0.0.2'));
  assert.equal(key('token'), key('session'));
  assert.notEqual(key('token'), key('certificate'));
  assert.notEqual(key('token'), key('token', 'viewer'));
});

test('an attempt ranks last for every caller; admins and users of the unix socket rank first', () => {
  assert.equal(rankOf({ role: 'admin' }, true), 'attempt');
  assert.equal(rankOf({ role: 'admin' }, false), 'administrator');
  assert.equal(rankOf({ role: 'local' }, false), 'administrator');
  for (const role of ['operator', 'viewer', 'agent', 'controller'])
    assert.equal(rankOf({ role }, false), 'change');
});
