import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LOOK_MS } from '../../../src/controller/inventory/guest-looks.ts';
import {
  accepted,
  followed,
  isSettled,
  updateProposals,
  lookOf,
  MAX_OPEN,
  mutedBy,
  type UpdateInput,
} from '../../../src/controller/policy/proposals.ts';
import { newRequest } from '../../../src/protocol/controller/fleet-request.ts';
import { GIB, guest, host, NOW, world } from '../requests/worlds.ts';
import { loadsOf, lookAt, policyOf, proposalOf } from './samples.ts';

const { reason, words, moves, benefit, cost } = proposalOf();
const draft = { subject: 'guest g1 on a', reason, words, moves, benefit, cost };
const input = (more: Partial<UpdateInput> = {}): UpdateInput => ({
  nowMs: NOW,
  lookMs: LOOK_MS,
  policy: policyOf(),
  proposals: [],
  drafted: { drafts: [draft], refusals: [], wake: [] },
  world: world({ hosts: [host('a'), host('b')], guests: [guest('g1', 'a')] }),
  run: 'run2',
  ids: ['p-00000002'],
  ...more,
});

describe('the course of proposals', () => {
  test('a repeated proposal stays as it was, for longer', () => {
    const later = { nowMs: NOW + LOOK_MS, proposals: [proposalOf()] };
    const { proposals } = updateProposals(input(later));
    assert.deepEqual(
      proposals.map(({ id, run, expiresAtMs }) => [id, run, expiresAtMs]),
      [['p-00000001', 'r', NOW + 4 * LOOK_MS]],
    );
  });

  test('a proposal that is not repeated stays for three looks, and then expires', () => {
    const nothing = { drafted: { drafts: [], refusals: [], wake: [] }, proposals: [proposalOf()] };
    assert.deepEqual(
      updateProposals(input({ ...nothing, nowMs: NOW + 2 * LOOK_MS })).proposals,
      [],
    );
    const [ended] = updateProposals(input({ ...nothing, nowMs: NOW + 3 * LOOK_MS })).proposals;
    assert.deepEqual([ended?.state, ended?.endedAtMs], ['expired', NOW + 3 * LOOK_MS]);
  });

  test('an impossible proposal expires at once, and another replaces it', () => {
    const full = world({
      hosts: [host('a'), host('b', { memoryBytes: GIB / 2 })],
      guests: [guest('g1', 'a')],
    });
    const silent = world({
      hosts: [host('a'), host('b', { silentSinceMs: NOW })],
      guests: [guest('g1', 'a')],
    });
    for (const [where, why] of [
      [full, /no memory/],
      [silent, /b is silent/],
    ] as const) {
      const { proposals } = updateProposals(input({ world: where, proposals: [proposalOf()] }));
      assert.deepEqual(
        proposals.map(({ id, state }) => [id, state]),
        [
          ['p-00000001', 'expired'],
          ['p-00000002', 'open'],
        ],
      );
      assert.match(proposals[0]?.why ?? '', why);
    }
  });

  test('the number of open proposals is limited to what a person can read', () => {
    const drafts = Array.from({ length: 300 }, (_, at) => ({
      ...draft,
      subject: `guest g${at} on a`,
    }));
    const ids = drafts.map((_, at) => `p-${String(at).padStart(8, '0')}`);
    const { proposals, beyond } = updateProposals(
      input({ drafted: { drafts, refusals: [], wake: [] }, ids }),
    );
    assert.equal(proposals.length, MAX_OPEN);
    assert.equal(beyond, 100);
  });

  test('a look reports the accepted and the open proposals of its policy, and its note', () => {
    const words = (open: number, taken: number, beyond: number, note?: string) =>
      lookOf({ nowMs: NOW, open, accepted: taken, beyond, refusals: [], note }).words;
    assert.equal(words(0, 0, 0, 'it is off'), 'it is off; nothing is to be moved');
    assert.equal(words(1, 0, 0), '1 proposal is open');
    assert.equal(words(200, 0, 100), '200 proposals are open, and 100 more once those are decided');
    assert.equal(words(1, 3, 0), '3 proposals are accepted, 1 proposal is open');
  });

  test('an accepted proposal names a request for each move, and repeating it yields the same requests', () => {
    const once = accepted(proposalOf(), { nowMs: NOW, by: 'alice' });
    assert.deepEqual(once, accepted(proposalOf(), { nowMs: NOW, by: 'alice' }));
    assert.deepEqual(
      once.requests.map(({ id, ask }) => [id, ask.kind, ask.guest, ask.to]),
      [['r-00000001000', 'migration', 'g1', ['b']]],
    );
  });

  test('a proposal whose request ended without a move is left, and its cost is the spent cost', () => {
    const { proposal, requests } = accepted(proposalOf(), { nowMs: NOW, by: 'alice' });
    const [request] = requests;
    assert.ok(request !== undefined);
    const standing = { nowMs: NOW + 1, moves: [], loads: loadsOf([]) };
    const at = (phase: typeof request.phase) =>
      followed(proposal, { ...standing, requests: new Map([[request.id, { ...request, phase }]]) });
    assert.equal(at('working'), proposal);
    assert.deepEqual([at('left').state, at('left').actual], ['left', { moved: 0, seconds: 0 }]);
  });

  test('the gain of a proposal is the avoided overload, an hour after its end', () => {
    const ids = ['r-00000001000'];
    const done = proposalOf({
      state: 'done',
      requests: ids,
      endedAtMs: NOW,
      actual: { moved: 1, seconds: 5 },
    });
    // With 14 of 16 cores still used at a, the guest's 4 would have been 2 too many for an hour.
    const looks = Array.from({ length: 13 }, (_, at) => lookAt(at, { a: { x: 14 }, b: { g1: 4 } }));
    const standing = {
      requests: new Map([
        [
          'w',
          newRequest(
            'r-00000001000',
            { kind: 'migration', hosts: [], priority: 0, settings: {} },
            { nowMs: NOW, by: 't' },
          ),
        ],
      ]),
      moves: [],
    };
    const early = followed(done, { ...standing, nowMs: NOW + 1, loads: loadsOf(looks) });
    assert.equal(early.actual?.benefit, undefined);
    const late = { ...standing, nowMs: NOW + 14 * LOOK_MS };
    const gain = followed(done, { ...late, loads: loadsOf(looks) }).actual?.benefit;
    assert.equal(gain?.processorSeconds, 12 * 300 * 2);
    assert.equal(
      followed(done, { ...late, loads: loadsOf(looks.slice(0, 3)) }).actual?.benefit,
      undefined,
    );
    assert.ok(isSettled(followed(done, { ...late, loads: loadsOf(looks) }), NOW, 1));
  });

  test('a proposal like a rejected or postponed one is not made for its time', () => {
    const rejected = proposalOf({ state: 'rejected', decidedAtMs: NOW });
    const host1 = proposalOf({ state: 'snoozed', reason: 'empty-host', snoozedUntilMs: NOW + 10 });
    const muted = mutedBy([rejected, host1], NOW + 5, 100);
    assert.deepEqual([[...muted.guests], [...muted.hosts]], [['g1'], ['a']]);
    const later = mutedBy([rejected, host1], NOW + 100, 100);
    assert.deepEqual([later.guests.size, later.hosts.size], [0, 0]);
  });
});
