import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { keptArguments } from '../../../src/controller/audit/arguments.ts';
import {
  RefusedBudget,
  MAX_PER_MINUTE,
  MAX_PER_CALLER,
} from '../../../src/controller/audit/audit.ts';
import { MAX_AUDIT_ARGUMENTS } from '../../../src/protocol/controller/audit.ts';
import { controllerContract } from '../../../src/protocol/controller/contract.ts';
import { errorsOf } from '../../../src/protocol/route-errors.ts';
import type { Route } from '../../../src/protocol/route.ts';

const SECRET = 'S3cr3tOfAPerson';

const kept = (body: unknown): string => keptArguments({ params: { host: 'a' }, query: {}, body });

/** Texts in which a secret is known by its own form, wherever it stands. */
const secretTexts = fc.constantFrom(
  `gdw_${SECRET}${randomBytes(24).toString('base64url')}`,
  `gds_${SECRET}${randomBytes(24).toString('base64url')}`,
  `https://ann:${SECRET}@vcenter.example/sdk`,
  `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----`,
  `-----BEGIN EC PRIVATE KEY-----\n${SECRET}`,
);
const secretFields = fc.constantFrom('password', 'Password', 'token', 'clientSecret', 'options');

/** Whatever is asked, with a secret somewhere in it. */
const asked = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.string(),
    fc.integer(),
    secretTexts,
    fc.tuple(fc.string(), secretTexts, fc.string()).map((parts) => parts.join(' ')),
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(fc.string(), tie('any'), { maxKeys: 3 }),
    fc
      .tuple(secretFields, fc.constantFrom(SECRET, { deep: [SECRET] }))
      .map(([name, value]) => ({ [name]: value })),
  ),
})).any;

describe('kept requests', () => {
  test('the kept request holds no secret, wherever one was, and is bounded', () => {
    fc.assert(
      fc.property(asked, (body) => {
        const text = kept({ body });
        assert.ok(!text.includes(SECRET), text);
        assert.ok(text.length <= MAX_AUDIT_ARGUMENTS);
      }),
    );
    assert.ok(kept({ note: 'x'.repeat(100_000) }).length <= MAX_AUDIT_ARGUMENTS);
  });

  test('the kept request holds everything else as it was sent', () => {
    assert.deepEqual(JSON.parse(kept({ note: 'fan 3 is loud', at: ['a', 1, null] })), {
      params: { host: 'a' },
      body: { note: 'fan 3 is loud', at: ['a', 1, null] },
    });
  });

  test("the kept request has a manager without its password and without its driver's private options", () => {
    const options = { sshKey: SECRET };
    const text = kept({ name: 'vc', user: 'ann', password: SECRET, options });
    assert.deepEqual(JSON.parse(text).body, {
      name: 'vc',
      user: 'ann',
      password: '(removed)',
      options: '(removed)',
    });
  });
});

test('every route that changes something names the error of an audit log that cannot be written', () => {
  const routes: [string, Route][] = Object.entries(controllerContract);
  const changing = routes.filter(([, { method }]) => method !== 'GET');
  assert.ok(changing.length > 10);
  for (const [key, route] of changing)
    assert.ok(errorsOf(route)?.includes('GODWIT_STORE') ?? true, key);
});

test('a bounded number of refused attempts is kept per minute, and the others are counted', () => {
  const attempts = fc.array(fc.tuple(fc.nat(30), fc.nat(400)), { maxLength: 600 });
  fc.assert(
    fc.property(attempts, (knocks) => {
      const budget = new RefusedBudget();
      const keptAt: { atMs: number; network: number }[] = [];
      let [nowMs, reported] = [0, 0];
      let lastKept = -1;
      for (const [at, [network, afterMs]] of knocks.entries()) {
        nowMs += afterMs;
        const unkept = budget.take(`n${network}`, nowMs);
        if (unkept === undefined) continue;
        keptAt.push({ atMs: nowMs, network });
        reported += unkept;
        lastKept = at;
      }
      assert.equal(reported + keptAt.length, lastKept + 1);
      const minutes = 1 + Math.floor(nowMs / 60_000);
      assert.ok(keptAt.length <= minutes * MAX_PER_MINUTE);
      for (let network = 0; network <= 30; network += 1) {
        const own = keptAt.filter((each) => each.network === network);
        assert.ok(own.length <= minutes * MAX_PER_CALLER);
      }
    }),
  );
});
