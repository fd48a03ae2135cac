import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  doubtsAboutDamaged,
  judgeDamaged,
  type DamagedRecord,
} from '../../../../src/migration/direct/operator/damaged-record.ts';
import type { GuestSightings } from '../../../../src/migration/direct/operator/guest-sightings.ts';
import type { Sighting } from '../../../../src/protocol/peer/sighting.ts';

const RECORD: DamagedRecord = {
  id: 'm-00000001',
  host: 'b',
  guest: 'web1',
  damaged: 'request',
  isGuestKnown: true,
  from: 'a',
  to: 'b',
  why: 'it is not JSON',
};
const seen = (host: string, more: Partial<Sighting> = {}): Sighting => ({
  host,
  copies: [],
  moves: [],
  ...more,
});
const copy = (state: Sighting['copies'][number]['state'], uuid = 'u-1') => ({
  copies: [{ uuid, state }],
});
const fleet = (...sightings: Sighting[]): GuestSightings => ({
  id: RECORD.id,
  since: '2026-11-24T10:00:00Z',
  uuid: 'u-1',
  sightings,
  unasked: [],
});
const verdicts = (given: GuestSightings): Record<string, string> =>
  Object.fromEntries(judgeDamaged(RECORD, given).map(({ runAt, verdict }) => [runAt, verdict]));

describe('a record with an unreadable request', () => {
  test('a record with an unreadable request has no safe answer, whatever the fleet shows', () => {
    const copies = ['running', 'paused', 'incoming'] as const;
    for (const host of ['a', 'b', 'c']) {
      for (const state of copies) {
        const given = fleet(seen('b'), seen(host, copy(state)));
        assert.equal(Object.values(verdicts(given)).includes('safe'), false);
      }
    }
    assert.equal(Object.values(verdicts(fleet(seen('b')))).includes('safe'), false);
  });

  test('a record with an unreadable request accepts only the host that runs the guest as its answer', () => {
    const ranAt = (host: string) => verdicts(fleet(seen(host, copy('running'))));
    const [wrong, risky] = ['wrong', 'risky'];
    assert.deepEqual(ranAt('a'), { source: risky, destination: wrong, elsewhere: wrong });
    assert.deepEqual(ranAt('b'), { source: wrong, destination: risky, elsewhere: wrong });
    assert.deepEqual(ranAt('c'), { source: wrong, destination: wrong, elsewhere: risky });
  });

  test('the operator must confirm the record, each doubt and each silent host', () => {
    const given = {
      ...fleet(seen('b', copy('paused')), seen('c', copy('running')), seen('d')),
      unasked: [{ host: 'e', why: 'dark' }],
    };
    assert.deepEqual(doubtsAboutDamaged(RECORD, given), [
      { host: 'b', doubts: ['damaged request', 'its guest'] },
      { host: 'e', doubts: ['no answer'] },
    ]);
    const nameless = doubtsAboutDamaged({ ...RECORD, isGuestKnown: false }, fleet(seen('b')));
    assert.deepEqual(nameless, [{ host: 'b', doubts: ['damaged request', 'unknown guest'] }]);
    const ofJournal = doubtsAboutDamaged({ ...RECORD, damaged: 'journal' }, fleet(seen('b')));
    assert.deepEqual(ofJournal, [{ host: 'b', doubts: ['damaged journal'] }]);
    const [first] = judgeDamaged(RECORD, { ...given, sightings: given.sightings.slice(0, 1) });
    assert.match(first?.risks.join() ?? '', /it is not JSON.*has web1 \(paused.*e was not asked/);
  });
});
