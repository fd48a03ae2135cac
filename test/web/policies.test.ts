import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Proposal } from '../../src/protocol/controller/policy.ts';
import {
  newRequest,
  requestAsk,
  REQUEST_PHASES,
  type FleetRequest,
} from '../../src/protocol/controller/fleet-request.ts';
import {
  acceptWords,
  benefitText,
  costText,
  decidedToast,
  isMoved,
  isUndecided,
  policyTitle,
  proposalTitle,
} from '../../web/src/policies/text.ts';
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

describe('the text of a proposal', () => {
  test('a proposal reports its benefit, or that it could not be measured', () => {
    assert.equal(benefitText({ watts: 209.6, emptied: 'a' }), 'a is empty, 210 W saved');
    assert.equal(benefitText({ processorSeconds: 5400 }), '1.5 CPU cores more for guests');
    assert.equal(benefitText({ processorSeconds: 20 }), 'less than 0.1 CPU cores more for guests');
    assert.equal(benefitText({}), 'nothing measurable');
  });

  test('a proposal reports its costs', () =>
    assert.equal(costText(cost), '4 GiB to send, 21.0 s, 60 ms of downtime'));

  test('the title of a proposal names the guest, the hosts and the reason', () => {
    const title = (more: Partial<Proposal>) => proposalTitle({ ...proposal, ...more });
    assert.equal(title({}), 'Move web1 from a to b: guests on a want more CPU than it has');
    const away = [move, { ...move, guest: 'web2', to: 'c' }];
    assert.equal(
      title({ reason: 'empty-host', moves: away, benefit: { emptied: 'a' } }),
      'Move 2 guests from a to 2 hosts: a is then empty and can be switched off',
    );
    const swap = [move, { ...move, guest: 'web2', from: 'b', to: 'a' }];
    assert.equal(
      title({ reason: 'spread', moves: swap }),
      'Move 2 guests between 2 hosts: a is much busier than other hosts',
    );
    assert.equal(policyTitle(proposal), 'Balance load in the whole fleet');
    assert.equal(
      policyTitle({ kind: 'consolidate', scope: 'rack1' }),
      'Free hosts in the group rack1',
    );
  });

  test('an accepted proposal is not shown as under way once its requests have ended', () => {
    const accepted = { state: 'accepted', requests: ['r-1', 'r-2'] } as const;
    const both = { ...accepted, requests: [...accepted.requests] };
    assert.equal(
      isMoved(both, () => true),
      true,
    );
    assert.equal(
      isMoved(both, (id) => id === 'r-1'),
      false,
    );
    assert.equal(
      isMoved({ ...both, state: 'open' }, () => true),
      false,
    );
  });

  test('the result of a decision links to the requested moves', () => {
    assert.equal(decidedToast('accept', ['r-1']).link?.href, '/requests/r-1');
    assert.equal(decidedToast('accept', ['r-1', 'r-2']).link?.href, '/requests');
    assert.equal(decidedToast('reject', []).link, undefined);
  });

  test('a proposal warns that accepting it accepts its whole round only in that policy mode', () => {
    assert.match(acceptWords(proposal, 'approve'), /all proposals made at the same time/);
    assert.doesNotMatch(acceptWords(proposal, 'propose'), /same time/);
    assert.match(acceptWords(proposal, undefined), /^1 guest will move/);
  });

  test('a proposal can be decided only while it is open or postponed', () => {
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

  test('the hosts of a roll are done, under way, or to come', () =>
    assert.deepEqual(states(rolling({})), ['done', 'now', 'ahead']));

  test('the hosts of an aborted roll include the one that was in progress', () => {
    assert.deepEqual(states(rolling({ phase: 'left' })), ['done', 'stopped', 'ahead']);
    assert.deepEqual(states(rolling({ phase: 'cancelled' })), ['done', 'stopped', 'ahead']);
  });

  test('the hosts of a finished roll are all done, and each is named once in every phase', () => {
    assert.deepEqual(states(rolling({ phase: 'done' })), ['done', 'done', 'done']);
    for (const phase of REQUEST_PHASES)
      assert.deepEqual(
        rollOf(rolling({ phase })).map(({ host }) => host),
        ['a', 'b', 'c'],
      );
  });
});
