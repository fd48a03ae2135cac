import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { answerFrom, answeredFor } from '../../../src/migration/permission/host-answer.ts';
import type { Sighting } from '../../../src/protocol/peer/sighting.ts';

const SOUGHT = {
  guest: 'web1',
  uuid: 'u-1',
  id: 'm-00000001',
  since: '2026-11-24T10:00:00Z',
};
const seen = (more: Partial<Sighting>): Sighting => ({ host: 'c', copies: [], moves: [], ...more });
const move = (more: Partial<Sighting['moves'][number]>) => ({
  id: 'm-00000009',
  side: 'destination' as const,
  from: 'a',
  to: 'c',
  createdAt: '2026-11-24T11:00:00Z',
  ended: true,
  lineage: [],
  ...more,
});
const is = (more: Partial<Sighting>): string => answerFrom(seen(more), SOUGHT).is;

describe('sightings of a guest', () => {
  test('a host with no trace of the guest is clear', () => {
    assert.equal(is({}), 'without');
    assert.equal(is({ storeSince: '2026-11-24T09:00:00Z' }), 'without');
    const stayed = move({ runsAt: 'source' });
    const earlier = move({ runsAt: 'destination', createdAt: '2026-11-24T09:00:00Z' });
    assert.equal(is({ moves: [stayed, earlier] }), 'without');
    assert.equal(is({ copies: [{ uuid: 'u-2', state: 'running' }] }), 'without', 'a namesake');
  });

  test("a copy with the guest's UUID is the guest, unless it waits for memory", () => {
    for (const state of ['running', 'paused'] as const) {
      assert.equal(is({ copies: [{ uuid: 'u-1', state }] }), 'has');
    }
    assert.equal(is({ copies: [{ uuid: 'u-1', state: 'incoming' }] }), 'may-have');
    assert.equal(is({ copies: [{ state: 'running' }] }), 'may-have', 'it may be a namesake');
  });

  test('a migration that sent the guest on shows that it ran on that host', () => {
    assert.equal(is({ moves: [move({ lineage: ['m-00000001'] })] }), 'has');
  });

  test('an open, a held and a later arrival may start the guest', () => {
    assert.equal(is({ moves: [{ ...move({}), ended: false }] }), 'may-have');
    assert.equal(is({ moves: [move({ runsAt: 'unknown' })] }), 'may-have');
    assert.equal(is({ moves: [move({ runsAt: 'destination' })] }), 'may-have');
  });

  test('a host whose state is younger than the question may have forgotten its part', () => {
    assert.equal(is({ storeSince: '2026-11-24T10:00:01Z' }), 'may-have');
  });

  test('additional sightings never make a host look emptier', () => {
    const copies = fc.array(
      fc.record({
        uuid: fc.constantFrom('u-1', 'u-2'),
        state: fc.constantFrom('running' as const, 'paused' as const, 'incoming' as const),
      }),
      { maxLength: 4 },
    );
    const rank = { without: 0, 'may-have': 1, has: 2 } as const;
    const rankOf = (some: Sighting['copies']): number =>
      rank[answerFrom(seen({ copies: some }), SOUGHT).is as keyof typeof rank];
    fc.assert(
      fc.property(copies, copies, (some, more) => {
        assert.ok(rankOf([...some, ...more]) >= rankOf(some));
      }),
    );
  });
});

describe("an operator's word for a host", () => {
  const at = { bootId: 'boot-1', uptimeMs: 1 };
  const silent = { is: 'silent', why: 'dark' } as const;
  const word = [{ host: 'c', doubts: ['no answer', 'copy paused'] }];

  test("an operator's word for a host covers only the state that the operator was shown", () => {
    const named = { is: 'named', by: 'operator', at };
    assert.deepEqual(answeredFor('c', silent, word, at), named);
    const paused = answerFrom(seen({ copies: [{ state: 'paused' }] }), SOUGHT);
    assert.deepEqual(answeredFor('c', paused, word, at), named);
  });

  test("an operator's word never covers another host, a changed state, or a host that has the guest", () => {
    assert.equal(answeredFor('d', silent, word, at), silent);
    const more = [
      seen({ copies: [{ state: 'paused' }], moves: [move({ ended: false })] }),
      seen({ moves: [move({ ended: false })] }),
      seen({ copies: [{ state: 'running' }] }),
      seen({ copies: [{ uuid: 'u-1', state: 'paused' }] }),
    ];
    for (const each of more) {
      const answer = answerFrom(each, SOUGHT);
      assert.equal(answeredFor('c', answer, word, at), answer);
    }
    const nothing = { is: 'may-have', why: 'x', doubts: [] } as const;
    assert.equal(answeredFor('c', nothing, word, at), nothing);
  });

  test("an operator's word names a new doubt even next to many that were shown", () => {
    const moves = Array.from({ length: 40 }, (_, at_) =>
      move({ id: `m-000001${at_ + 10}`, ended: false }),
    );
    const shown = answerFrom(seen({ moves }), SOUGHT);
    const said = shown.is === 'may-have' ? [{ host: 'c', doubts: [...shown.doubts] }] : [];
    assert.equal(answeredFor('c', shown, said, at).is, 'named');
    const later = answerFrom(seen({ moves: [move({ ended: false }), ...moves] }), SOUGHT);
    assert.equal(answeredFor('c', later, said, at).is, 'may-have');
  });
});
