import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bestFirst, verdictOf } from '../../../src/migration/preflight/rank.ts';
import type { CheckedHost } from '../../../src/protocol/public/check.ts';

const verdicts = fc.array(fc.constantFrom('pass', 'warn', 'refuse'), { maxLength: 8 });
const hosts = fc
  .uniqueArray(fc.record({ to: fc.stringMatching(/^[a-z]{1,3}$/), verdicts }), {
    selector: ({ to }) => to,
    maxLength: 8,
  })
  .map((all) =>
    all.map(({ to, verdicts: each }): CheckedHost => {
      const checks = each.map((verdict) => ({
        name: 'any',
        side: 'both' as const,
        verdict,
        evidence: '',
      }));
      return { to, verdict: verdictOf(checks), checks };
    }),
  );

test('the worst verdict counts for the whole host', () => {
  fc.assert(
    fc.property(verdicts, (all) => {
      const expected = all.includes('refuse') ? 'refuse' : all.includes('warn') ? 'warn' : 'pass';
      assert.equal(verdictOf(all.map((verdict) => ({ verdict }))), expected);
    }),
  );
});

test('a host never precedes a better one: no refusal comes before warnings, nor more warnings before fewer', () => {
  const count = ({ checks }: CheckedHost, verdict: string): number =>
    checks.filter((each) => each.verdict === verdict).length;
  fc.assert(
    fc.property(hosts, (all) => {
      const sorted = bestFirst(all);
      assert.deepEqual(new Set(sorted), new Set(all));
      for (const [at, host] of sorted.entries()) {
        const next = sorted[at + 1];
        if (next === undefined) continue;
        const [left, right] = [host, next].map((each) => [
          count(each, 'refuse'),
          count(each, 'warn'),
        ]);
        assert.ok(
          (left?.[0] ?? 0) < (right?.[0] ?? 0) ||
            (left?.[0] === right?.[0] && (left?.[1] ?? 0) <= (right?.[1] ?? 0)),
        );
      }
      assert.deepEqual(bestFirst(sorted.toReversed()), sorted);
    }),
  );
});
