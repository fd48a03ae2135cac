import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { evidenceOf, vouched } from '../../../src/migration/direct/guest-sightings.ts';
import type { GuestSightings } from '../../../src/migration/direct/guest-sightings.ts';
import { judge } from '../../../src/migration/direct/resolution.ts';
import type { Answer } from '../../../src/protocol/public/resolve.ts';
import type { Sighting } from '../../../src/protocol/peer/sighting.ts';
import { anyHistory, hasRunElsewhere, knownOf } from './histories.ts';
import type { History } from './histories.ts';

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
const move = { id: 'm-00000002', side: 'destination', from: 'b', to: 'c' } as const;

function sourceOf(history: History): Answer | undefined {
  return judge(knownOf(history)).find(({ runAt }) => runAt === 'source');
}

describe('what other hosts report of the guest of a held migration', () => {
  test('a copy with its UUID anywhere makes the source wrong, and another guest of that name nothing', () => {
    const here = fleet({ copies: [{ uuid: UUID, state: 'running' }] });
    assert.equal(vouched(safe, here, 'web1').verdict, 'wrong');
    const other = fleet({ copies: [{ uuid: 'another', state: 'running' }] });
    assert.equal(vouched(safe, other, 'web1').verdict, 'safe');
    const unnamed = fleet({ copies: [{ state: 'running' }] });
    assert.equal(vouched(safe, unnamed, 'web1').verdict, 'unknown');
  });

  test('a migration by which it was sent on proves that it ran, also where it has ended since', () => {
    const sentOn = { ...move, createdAt: '2025-01-01', lineage: ['m-00000001'] };
    assert.equal(vouched(safe, fleet({ moves: [sentOn] }), 'web1').verdict, 'wrong');
  });

  test('a later migration of that name is a doubt, and an earlier one is none', () => {
    const later = { ...move, createdAt: '2026-02-01', lineage: [] };
    assert.equal(vouched(safe, fleet({ moves: [later] }), 'web1').verdict, 'unknown');
    const earlier = { ...move, createdAt: '2025-02-01', lineage: [] };
    assert.equal(vouched(safe, fleet({ moves: [earlier] }), 'web1').verdict, 'safe');
  });

  test('a host whose state is younger than the migration may have forgotten', () => {
    const restored = fleet({ storeSince: '2026-06-01' });
    assert.equal(vouched(safe, restored, 'web1').verdict, 'unknown');
    assert.equal(vouched(safe, fleet({ storeSince: '2025-06-01' }), 'web1').verdict, 'safe');
  });

  test('what is wrong stays wrong, and no risk is left out', () => {
    const unasked = [{ host: 'c', why: 'no answer' }];
    const wrong: Answer = { ...safe, verdict: 'wrong' };
    assert.deepEqual(vouched(wrong, fleet({}, { unasked }), 'web1'), wrong);
    const risky: Answer = { ...safe, verdict: 'risky', risks: ['two copies'] };
    const { verdict, risks } = vouched(risky, fleet({}, { unasked }), 'web1');
    assert.equal(verdict, 'risky');
    assert.deepEqual(risks, ['two copies', 'c was not asked about web1: no answer']);
  });

  test('a hypervisor that only waits for memory is no copy', () => {
    const waits = fleet({ copies: [{ uuid: UUID, state: 'incoming' }] });
    assert.deepEqual(evidenceOf(waits, 'web1'), []);
  });
});

describe('the source of a held migration, over every history', () => {
  const RUNS = { numRuns: 4000 };

  test('is never called safe where the guest has run elsewhere since', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        if (hasRunElsewhere(history)) assert.notEqual(sourceOf(history)?.verdict, 'safe');
      }),
      RUNS,
    );
  });

  test('is never called safe while a host cannot be asked, or has forgotten the migration', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        if (history.dark.length === 0 && !history.forgotten) return;
        assert.notEqual(sourceOf(history)?.verdict, 'safe');
      }),
      RUNS,
    );
  });

  test('is wrong where anybody who answers has seen the guest run', () => {
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

  test('is safe where it never ran elsewhere, and everybody answers and can tell', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const { reached, cut, forgotten, dark, committing } = history;
        const isSure = (reached === 'prepared' || (reached === 'armed' && !cut)) && !forgotten;
        if (!isSure || dark.length > 0) return;
        assert.equal(sourceOf(history)?.verdict, 'safe', `committing: ${committing}`);
      }),
      RUNS,
    );
  });
});
