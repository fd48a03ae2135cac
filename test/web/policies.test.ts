import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Proposal } from '../../src/protocol/controller/policy.ts';
import {
  newRequest,
  requestAsk,
  REQUEST_PHASES,
  type FleetRequest,
} from '../../src/protocol/controller/fleet-request.ts';
import { acceptWords, benefitText, costText, isUndecided } from '../../web/src/policies/text.ts';
import { rollOf } from '../../web/src/requests/roll.ts';

const cost = { bytes: 4 * 1024 ** 3, seconds: 21, downtimeMs: 60 };
const move = { guest: 'web1', from: 'a', to: 'b', words: 'it fits', cost, alternatives: [] };
const proposal: Proposal = {
  id: 'p-00000001',
  kind: 'balance',
  scope: 'fleet',
  run: 'r1',
  state: 'open',
  reason: 'overload',
  words: 'a is asked for more than it has',
  moves: [move],
  benefit: {},
  cost,
  createdAtMs: 0,
  confirmedAtMs: 0,
  expiresAtMs: 1,
  requests: [],
};

describe('a proposal in words', () => {
  test('says what it brings, and that nothing could be measured where nothing was', () => {
    assert.equal(benefitText({ watts: 209.6, emptied: 'a' }), 'a has no guests left, 210 W less');
    assert.equal(benefitText({}), 'nothing measurable');
  });

  test('says what it takes', () =>
    assert.equal(costText(cost), '4 GiB, 21.0 s, 60 ms of downtime'));

  test('says that accepting one accepts all of its look only where its policy has that mode', () => {
    assert.match(acceptWords(proposal, 'approve'), /all proposals made at the same time/);
    assert.doesNotMatch(acceptWords(proposal, 'propose'), /same time/);
    assert.match(acceptWords(proposal, undefined), /^1 guest will move/);
  });

  test('is decided on only while it is open or put off', () => {
    const states = ['open', 'snoozed', 'accepted', 'rejected', 'expired', 'done', 'left'] as const;
    assert.deepEqual(
      states.filter((state) => isUndecided({ state })),
      ['open', 'snoozed'],
    );
  });
});

describe('a roll and its hosts', () => {
  const rolling = (more: Partial<FleetRequest>): FleetRequest => ({
    ...newRequest(
      'r-00000001',
      requestAsk.parse({ kind: 'roll', hosts: ['a', 'b', 'c'], run: 'up' }),
      {
        nowMs: 0,
        by: 'ann',
      },
    ),
    roll: { at: 1, stage: 'waiting', sinceMs: 0, away: [] },
    ...more,
  });
  const states = (request: FleetRequest): string[] => rollOf(request).map(({ state }) => state);

  test('are rolled, under way, and to come', () =>
    assert.deepEqual(states(rolling({})), ['done', 'now', 'ahead']));

  test('say where it stopped when it did not come to its end', () => {
    assert.deepEqual(states(rolling({ phase: 'left' })), ['done', 'stopped', 'ahead']);
    assert.deepEqual(states(rolling({ phase: 'cancelled' })), ['done', 'stopped', 'ahead']);
  });

  test('are all rolled once it is done, and each is named once in every phase', () => {
    assert.deepEqual(states(rolling({ phase: 'done' })), ['done', 'done', 'done']);
    for (const phase of REQUEST_PHASES)
      assert.deepEqual(
        rollOf(rolling({ phase })).map(({ host }) => host),
        ['a', 'b', 'c'],
      );
  });
});
