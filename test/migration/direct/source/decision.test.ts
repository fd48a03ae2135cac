import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  initialSource,
  type SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import type { ResolvedEvent } from '../../../../src/migration/direct/source/resolve.ts';
import { transition } from '../../../../src/migration/direct/source/transition.ts';
import { planned } from '../samples.ts';

const C = { host: 'c', doubts: ['no answer'] };
const D = { host: 'd', doubts: ['copy paused'] };
const EARLIER = { bootId: 'boot-1', uptimeMs: 5 };
const NOW = { bootId: 'boot-2', uptimeMs: 3 };

const heldIn = (state: SourceState): SourceState => ({
  ...state,
  right: state.right === 'held' ? 'committing' : state.right,
  via: 'precopy',
  stream: 'done',
  doing: { kind: 'end', outcome: 'held' },
});
const held = heldIn(initialSource(planned()).state);
const back = (proof: ResolvedEvent['proof'], at: typeof NOW, word: typeof C): ResolvedEvent => ({
  type: 'resolved',
  runAt: 'source',
  proof,
  by: 'ann',
  here: 'handed-over',
  ...at,
  answersFor: [word],
});

describe('the decision on a held migration', () => {
  test('an order without a proof does not renew the decision: the destination must refuse', () => {
    const first = transition(held, back('operator', EARLIER, C)).state;
    assert.deepEqual(first.decision, { proof: 'operator', answersFor: [C], at: EARLIER });
    const { state } = transition(heldIn(first), back('ask', NOW, D));
    assert.deepEqual(state.decision, { proof: 'none', answersFor: [D], at: NOW });
    // It was closed without a refusal, which must be had now.
    assert.equal(state.closedByProof, true);
  });

  test("a later proof with the operator's word replaces the whole decision", () => {
    const taking = transition(held, back('operator', EARLIER, C)).state;
    const fenced = { type: 'fenced', host: 'b', by: 'the hook', ...NOW } as const;
    const { decision } = transition(taking, fenced).state;
    assert.deepEqual(decision, { proof: 'fenced', answersFor: [], at: NOW });
  });

  test('a decision from an older journal has no time, and starts no guest', () => {
    const { uptimeMs, ...old } = back('operator', NOW, C);
    assert.equal(uptimeMs, NOW.uptimeMs);
    assert.equal(transition(held, old).state.decision.at, undefined);
  });
});
