import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { destinationRight, sourceRight } from '../../../src/migration/direct/run-right.ts';
import type { HostAnswer } from '../../../src/migration/permission/host-answer.ts';
import { hostsInDoubt, judgeStart } from '../../../src/migration/permission/permission.ts';
import type { Claim, StartQuestion } from '../../../src/migration/permission/permission.ts';
import { granted } from './granted.ts';

const NOW = { bootId: 'boot-2', uptimeMs: 100_000 };
const bootId = fc.constantFrom('boot-1', NOW.bootId, undefined);
const right = fc.constantFrom(...sourceRight.options);
const claim: fc.Arbitrary<Claim> = fc.oneof(
  fc.record({
    kind: fc.constant('take-back' as const),
    right,
    handedOver: fc.boolean(),
    byProof: fc.boolean(),
    bootId,
  }),
  fc.record({ kind: fc.constant('restart' as const), bootId }),
  fc.record({
    kind: fc.constant('arrival' as const),
    right: fc.constantFrom(...destinationRight.options),
    byProof: fc.boolean(),
    bootId,
  }),
  fc.record({ kind: fc.constant('recovery' as const), bootId }),
);
const moments = fc.constantFrom(
  undefined,
  { bootId: 'boot-1', uptimeMs: 99_999 },
  { bootId: 'boot-2', uptimeMs: 39_999 },
  { bootId: 'boot-2', uptimeMs: 40_000 },
  { bootId: 'boot-2', uptimeMs: 100_001 },
  NOW,
);
const answer: fc.Arbitrary<HostAnswer> = fc.oneof(
  fc.constant<HostAnswer>({ is: 'without' }),
  fc.constant<HostAnswer>({ is: 'has', why: 'has it' }),
  fc.constant<HostAnswer>({ is: 'may-have', why: 'may have it', doubts: ['copy paused'] }),
  fc.constant<HostAnswer>({ is: 'silent', why: 'dark' }),
  moments.map((at): HostAnswer => ({ is: 'off', by: 'the hook', at })),
  moments.map((at): HostAnswer => ({ is: 'named', by: 'ann', at })),
);
const FLEET = ['b', 'c', 'd'];
const question: fc.Arbitrary<StartQuestion> = fc.record({
  guest: fc.constant('web1'),
  now: fc.constant(NOW),
  claim,
  counterpart: fc.constant('b'),
  fleet: fc.constant(FLEET),
  answers: fc
    .uniqueArray(fc.tuple(fc.constantFrom(...FLEET), answer), { selector: ([host]) => host })
    .map((all) => new Map(all)),
});

/** Written apart from the product: what may stand for a host that has nothing of the guest. */
function isClear(found: HostAnswer | undefined): boolean {
  if (found?.is === 'off' || found?.is === 'named') {
    return found.at?.bootId === 'boot-2' && [40_000, 100_000].includes(found.at.uptimeMs);
  }
  return found?.is === 'without';
}

describe('permission to start a guest', () => {
  test('is never given while any host shows that it has the guest', () => {
    fc.assert(
      fc.property(question, fc.constantFrom(...FLEET), (asked, host) => {
        const answers = new Map([...asked.answers, [host, { is: 'has', why: 'has it' }] as const]);
        assert.equal(judgeStart({ ...asked, answers }).kind, 'elsewhere');
      }),
    );
  });

  test('needs a clear answer of every host after a restart of this one', () => {
    fc.assert(
      fc.property(question, (asked) => {
        const verdict = judgeStart(asked);
        if (verdict.kind !== 'granted' || asked.claim.bootId === NOW.bootId) return;
        const isHandedOver = asked.claim.kind === 'arrival' && !asked.claim.byProof;
        const hosts = isHandedOver ? ['c', 'd'] : FLEET;
        assert.ok(hosts.every((host) => isClear(asked.answers.get(host))));
      }),
    );
  });

  test('needs a clear answer of the other side if it may have been given the right to run', () => {
    fc.assert(
      fc.property(question, (asked) => {
        const verdict = judgeStart(asked);
        const { claim: own } = asked;
        if (verdict.kind !== 'granted' || own.kind !== 'take-back') return;
        const gave = own.right === 'committing' || own.handedOver || own.byProof;
        assert.notEqual(own.right, 'passed');
        if (gave) assert.ok(isClear(asked.answers.get('b')));
      }),
    );
  });

  test('is given exactly if no host in doubt is left and this host has the right', () => {
    fc.assert(
      fc.property(question, (asked) => {
        const { claim: own, answers } = asked;
        const has = [...answers.values()].some(({ is }) => is === 'has');
        const lacks =
          (own.kind === 'take-back' && own.right === 'passed') ||
          (own.kind === 'arrival' && own.right !== 'running');
        const clear = hostsInDoubt(asked).every((host) => isClear(answers.get(host)));
        assert.equal(judgeStart(asked).kind === 'granted', !has && !lacks && clear);
      }),
    );
  });

  test('is not needed from any other host by a source that never left its boot and sent no commit', () => {
    const own = { kind: 'take-back', right: 'armed', handedOver: false, byProof: false } as const;
    const doubt = hostsInDoubt({
      claim: { ...own, bootId: NOW.bootId },
      now: NOW,
      counterpart: 'b',
      fleet: FLEET,
    });
    assert.deepEqual(doubt, []);
  });

  test('names the first host that stands in the way', () => {
    const verdict = judgeStart({
      guest: 'web1',
      now: NOW,
      claim: { kind: 'recovery', bootId: undefined },
      counterpart: 'a',
      fleet: ['a', 'c'],
      answers: new Map<string, HostAnswer>([
        ['a', { is: 'off', by: 'the hook', at: NOW }],
        ['c', { is: 'silent', why: 'no route' }],
      ]),
    });
    assert.deepEqual(verdict, {
      kind: 'unproved',
      host: 'c',
      why: 'c could have it, and does not answer: no route',
    });
  });

  test('covers the guest that it names and no other', () => {
    const permission = granted('web1');
    permission.mustCover('web1');
    assert.throws(() => permission.mustCover('db1'), { code: 'GODWIT_INTERNAL' });
  });
});
