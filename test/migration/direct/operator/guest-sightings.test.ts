import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  doubtsOf,
  vouched,
  type GuestSightings,
} from '../../../../src/migration/direct/operator/guest-sightings.ts';
import { judge } from '../../../../src/migration/direct/operator/resolution.ts';
import type { Answer } from '../../../../src/protocol/public/resolve.ts';
import { answerFrom, answeredFor } from '../../../../src/migration/permission/host-answer.ts';
import { guestRunState, runsAt } from '../../../../src/protocol/public/hosts/host.ts';
import type { Sighting } from '../../../../src/protocol/peer/sighting.ts';
import { anyHistory, hasRunElsewhere, isOtherInDoubt, knownOf, type History } from './histories.ts';

const UUID = '11111111-2222-3333-4444-555555555555';
const nothing: Sighting = { host: 'c', copies: [], moves: [] };
const fleet = (seen: Partial<Sighting>, more: Partial<GuestSightings> = {}): GuestSightings => ({
  id: 'm-00000001',
  since: '2026-01-01',
  uuid: UUID,
  unasked: [],
  sightings: [{ ...nothing, ...seen }],
  ...more,
});
const safe: Answer = { runAt: 'source', verdict: 'safe', why: 'it is', risks: [], proof: 'ask' };
const ended = { ended: true, runsAt: 'destination' } as const;
const move = { id: 'm-00000002', side: 'destination', from: 'b', to: 'c' } as const;

function sourceOf(history: History): Answer | undefined {
  return judge(knownOf(history)).find(({ runAt }) => runAt === 'source');
}

describe('reports of other hosts', () => {
  test("a copy with the guest's UUID anywhere makes the source wrong, and another guest of that name does not", () => {
    const here = fleet({ copies: [{ uuid: UUID, state: 'running' }] });
    assert.equal(vouched(safe, here, 'web1').verdict, 'wrong');
    const other = fleet({ copies: [{ uuid: 'another', state: 'running' }] });
    assert.equal(vouched(safe, other, 'web1').verdict, 'safe');
    const unnamed = fleet({ copies: [{ state: 'running' }] });
    assert.equal(vouched(safe, unnamed, 'web1').verdict, 'unknown');
  });

  test('a migration that sent the guest on proves that it ran, even if it has ended since', () => {
    const sentOn = { ...move, createdAt: '2025-01-01', lineage: ['m-00000001'] };
    assert.equal(vouched(safe, fleet({ moves: [sentOn] }), 'web1').verdict, 'wrong');
  });

  test('a later migration of that name is a doubt, and an earlier one is not', () => {
    const later = { ...move, createdAt: '2026-02-01', lineage: [], ...ended };
    assert.equal(vouched(safe, fleet({ moves: [later] }), 'web1').verdict, 'unknown');
    const earlier = { ...later, createdAt: '2025-02-01' };
    assert.equal(vouched(safe, fleet({ moves: [earlier] }), 'web1').verdict, 'safe');
  });

  test('a host whose state is younger than the migration may have forgotten it', () => {
    const restored = fleet({ storeSince: '2026-06-01' });
    assert.equal(vouched(safe, restored, 'web1').verdict, 'unknown');
    assert.equal(vouched(safe, fleet({ storeSince: '2025-06-01' }), 'web1').verdict, 'safe');
  });

  test('a wrong answer stays wrong with more sightings, and no risk is omitted', () => {
    const unasked = [{ host: 'c', why: 'no answer' }];
    const wrong: Answer = { ...safe, verdict: 'wrong' };
    assert.deepEqual(vouched(wrong, fleet({}, { unasked }), 'web1'), wrong);
    const risky: Answer = { ...safe, verdict: 'risky', risks: ['two copies'] };
    const { verdict, risks } = vouched(risky, fleet({}, { unasked }), 'web1');
    assert.equal(verdict, 'risky');
    assert.deepEqual(risks, ['two copies', 'c was not asked about web1: no answer']);
  });

  test('a waiting hypervisor or an older migration still under way is a doubt, and forbids a start', () => {
    const waits = fleet({ copies: [{ uuid: UUID, state: 'incoming' }] });
    const open = fleet({ moves: [{ ...move, createdAt: '2025-02-01', lineage: [] }] });
    for (const seen of [waits, open]) assert.equal(vouched(safe, seen, 'web1').verdict, 'unknown');
    assert.deepEqual(doubtsOf(waits, 'web1'), [{ host: 'c', doubts: ['copy incoming'] }]);
    assert.deepEqual(doubtsOf(open, 'web1'), [{ host: 'c', doubts: ['migration m-00000002'] }]);
  });

  test("an operator's answer for a host that cannot report its side covers only what it shows", () => {
    const unasked = [{ host: 'c', why: 'it does not know the migration' }];
    const restored = fleet({ storeSince: '2026-06-01' }, { unasked });
    assert.deepEqual(doubtsOf(restored, 'web1'), [
      { host: 'c', doubts: ['state from 2026-06-01'] },
    ]);
    assert.deepEqual(doubtsOf(fleet({}, { unasked }), 'web1'), [
      { host: 'c', doubts: ['no answer'] },
    ]);
  });

  test("the permission to start and the operator's view of it agree, whatever a host shows", () => {
    const seen = fc.record({
      host: fc.constant('c'),
      storeSince: fc.constantFrom(undefined, '2025-01-01', '2027-01-01'),
      copies: fc.array(
        fc.record({
          uuid: fc.constantFrom(undefined, UUID, 'another'),
          state: fc.constantFrom(...guestRunState.options),
        }),
        { maxLength: 3 },
      ),
      moves: fc.array(
        fc.record({
          id: fc.constantFrom('m-00000002', 'm-00000003'),
          side: fc.constantFrom('source' as const, 'destination' as const),
          from: fc.constantFrom('b', 'c'),
          to: fc.constantFrom('b', 'c'),
          createdAt: fc.constantFrom('2025-01-01', '2027-01-01'),
          ended: fc.constantFrom(undefined, true, false),
          runsAt: fc.constantFrom(undefined, ...runsAt.options),
          lineage: fc.constantFrom<string[]>([], ['m-00000001']),
        }),
        { maxLength: 3 },
      ),
    });
    fc.assert(
      fc.property(seen, (shown) => {
        const sought = { guest: 'web1', ...fleet({}) };
        const answer = answerFrom(shown, sought);
        const all = fleet(shown);
        const { verdict } = vouched(safe, all, 'web1');
        const expected = { without: 'safe', has: 'wrong', 'may-have': 'unknown' } as const;
        assert.equal(verdict, expected[answer.is as keyof typeof expected]);
        // An order that is accepted is not held for what the operator answered for.
        const said = answeredFor('c', answer, doubtsOf(all, 'web1'), undefined);
        if (answer.is === 'may-have') assert.equal(said.is, 'named');
        else assert.equal(said, answer);
      }),
    );
  });
});

describe('safety of the source over every history', () => {
  const RUNS = { numRuns: 4000 };

  test('the source is never called safe if the guest has run elsewhere since', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        if (hasRunElsewhere(history)) assert.notEqual(sourceOf(history)?.verdict, 'safe');
      }),
      RUNS,
    );
  });

  test('the source is never called safe while a host cannot be asked, or has forgotten the migration', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        if (history.dark.length === 0 && !history.forgotten) return;
        assert.notEqual(sourceOf(history)?.verdict, 'safe');
      }),
      RUNS,
    );
  });

  test('the source is wrong if any host that answers has seen the guest run', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const { dark, forgotten, cut, reached, next, withoutLineage } = history;
        if (!hasRunElsewhere(history)) return;
        const bAnswers = !dark.includes('b');
        const bReports = bAnswers && !forgotten && !(cut && reached === 'running');
        const went = reached === 'finished' && (next === 'onward' || next === 'home');
        const toC = next === 'onward' && !dark.includes('c');
        const seen = bAnswers || toC || next === 'home';
        const lineageShows = went && !withoutLineage && seen;
        if (bReports || lineageShows) assert.equal(sourceOf(history)?.verdict, 'wrong');
      }),
      RUNS,
    );
  });

  test('the source is safe if the guest never ran elsewhere, every host can tell, and no other migration counts', () => {
    const seen = { safe: 0, unknown: 0 };
    fc.assert(
      fc.property(anyHistory, (history) => {
        const { reached, cut, forgotten, dark, committing } = history;
        const isSure = (reached === 'prepared' || (reached === 'armed' && !cut)) && !forgotten;
        if (!isSure || dark.length > 0) return;
        const expected = isOtherInDoubt(history) ? 'unknown' : 'safe';
        seen[expected] += 1;
        assert.equal(sourceOf(history)?.verdict, expected, `committing: ${committing}`);
      }),
      RUNS,
    );
    for (const [verdict, times] of Object.entries(seen))
      assert.ok(times > 30, `${verdict}: ${times}`);
  });
});
