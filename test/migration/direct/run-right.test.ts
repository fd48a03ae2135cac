import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  destinationAfter,
  initialDestination,
  judgeCall,
  type DestinationState,
} from '../../../src/migration/direct/destination/destination.ts';
import {
  destinationRight,
  destinationRightAfter,
  sourceRight,
  sourceRightAfter,
  type SourceRight,
} from '../../../src/migration/direct/run-right.ts';
import { mayResume as judgedResume } from './may-resume.ts';
import { admissionOf } from '../../protocol/peer/admission.ts';

describe("the source's right", () => {
  test("the source regains its right only by the destination's refusal, and never after passing it on", () => {
    for (const right of sourceRight.options) {
      assert.equal(judgedResume(right, false), false);
      assert.equal(judgedResume(right, true), right !== 'passed');
    }
  });

  test('the source commits only when armed, and may repeat a commit', () => {
    for (const right of sourceRight.options) {
      const may = right === 'armed' || right === 'committing';
      assert.equal(sourceRightAfter(right, 'commit'), may ? 'committing' : undefined);
    }
  });

  test('a right that the source has passed on stays passed', () => {
    for (const event of ['arm', 'commit', 'refused', 'abandon'] as const) {
      assert.equal(sourceRightAfter('passed', event), undefined);
    }
    assert.equal(sourceRightAfter('passed', 'running'), 'passed');
  });

  test('the source alone cannot abandon its right once a commit may be on its way', () => {
    assert.equal(sourceRightAfter('committing', 'abandon'), undefined);
    assert.equal(sourceRightAfter('committing', 'refused'), 'abandoned');
  });

  test('a source that has abandoned its right sends no commit', () => {
    assert.equal(sourceRightAfter('abandoned', 'arm'), undefined);
    assert.equal(sourceRightAfter('abandoned', 'commit'), undefined);
  });
});

describe("the destination's right", () => {
  test('a destination that has refused never runs, and one that runs never refuses', () => {
    assert.equal(destinationRightAfter('refused', 'commit'), undefined);
    assert.equal(destinationRightAfter('refused', 'arm'), undefined);
    assert.equal(destinationRightAfter('running', 'refuse'), undefined);
    assert.equal(destinationRightAfter('none', 'commit'), undefined);
  });

  test('an event that arrives twice acts once at the destination', () => {
    for (const right of destinationRight.options) {
      for (const event of ['arm', 'commit', 'refuse'] as const) {
        const once = destinationRightAfter(right, event);
        if (once !== undefined) assert.equal(destinationRightAfter(once, event), once);
      }
    }
  });
});

/** Messages that were ever sent; each may arrive at any time, any number of times, or never. */
type Message = 'arm' | 'commit' | 'refuse' | 'armed' | 'running' | 'refused' | 'not-armed';

interface Parties {
  right: SourceRight;
  source: 'running' | 'handed-over';
  refusalInHand: boolean;
  armedInHand: boolean;
  destination: DestinationState;
  runsThere: boolean;
  sent: readonly Message[];
}

function beginning(): Parties {
  const admission = admissionOf();
  const admitted = initialDestination({ type: 'admitted', admission, host: 'b' });
  const handle = { driver: 'fake', name: 'web1', pid: 1, startTicks: 1, monitor: '' };
  const prepared = { type: 'prepared', handle, memoryAddress: 'b:1' } as const;
  return {
    right: 'held',
    source: 'running',
    refusalInHand: false,
    armedInHand: false,
    destination: destinationAfter(admitted, prepared),
    runsThere: false,
    sent: [],
  };
}

function send(parties: Parties, message: Message): Parties {
  const sent = parties.sent.includes(message) ? parties.sent : [...parties.sent, message];
  return { ...parties, sent: sent.toSorted() };
}

/** A request arrives at the destination, which answers as its mover does. */
function arrives(parties: Parties, call: 'arm' | 'commit' | 'refuse'): Parties {
  const { destination } = parties;
  const verdict = judgeCall(destination, call, 1);
  if (verdict.kind === 'no') return call === 'commit' ? send(parties, 'not-armed') : parties;
  switch (call) {
    case 'arm': {
      const event = { type: 'armed', epoch: 1, bootId: '' } as const;
      return send({ ...parties, destination: destinationAfter(destination, event) }, 'armed');
    }
    case 'commit': {
      const event = { type: 'committed', epoch: 1 } as const;
      const next = destinationAfter(destination, event);
      const runsThere = next.hypervisor !== 'gone';
      return send({ ...parties, destination: next, runsThere }, 'running');
    }
    case 'refuse': {
      const event = { type: 'refused', epoch: 1, why: '' } as const;
      return send({ ...parties, destination: destinationAfter(destination, event) }, 'refused');
    }
  }
}

/** Everything that may happen next, by the rules; `mayResume` is the rule that keeps both from running. */
function nexts(parties: Parties, mayResume: typeof judgedResume): Parties[] {
  const { right, source, armedInHand, refusalInHand, sent, destination } = parties;
  const found: Parties[] = [];
  const arm = sourceRightAfter(right, 'arm');
  if (arm !== undefined) found.push(send({ ...parties, right: arm }, 'arm'));
  if (armedInHand && right === 'armed') found.push({ ...parties, source: 'handed-over' });
  const commit = sourceRightAfter(right, 'commit');
  if (commit !== undefined && source === 'handed-over') {
    found.push(send({ ...parties, right: commit }, 'commit'));
  }
  const abandon = sourceRightAfter(right, 'abandon');
  if (abandon !== undefined) found.push(send({ ...parties, right: abandon }, 'refuse'));
  // After a commit that was said no to, the source asks for the word before it resumes.
  if (source === 'handed-over' && mayResume(right, refusalInHand)) {
    found.push({ ...parties, source: 'running' });
  }
  const lost = { type: 'hypervisor', event: { type: 'lost', reason: '' } } as const;
  const gone = { ...parties, runsThere: false, destination: destinationAfter(destination, lost) };
  found.push(gone);
  for (const message of sent) {
    switch (message) {
      case 'arm':
      case 'commit':
      case 'refuse':
        found.push(arrives(parties, message));
        break;
      case 'armed':
        found.push({ ...parties, armedInHand: true });
        break;
      case 'running':
        found.push({ ...parties, right: sourceRightAfter(right, 'running') ?? right });
        break;
      case 'refused':
        found.push({
          ...parties,
          right: sourceRightAfter(right, 'refused') ?? right,
          refusalInHand: true,
        });
        break;
      case 'not-armed':
        // The source takes it for the end of the epoch, but resumes with the recorded refusal alone.
        found.push(
          send({ ...parties, right: sourceRightAfter(right, 'refused') ?? right }, 'refuse'),
        );
        break;
    }
  }
  return found;
}

function walk(mayResume: typeof judgedResume): { states: number; both: number; ran: number } {
  const seen = new Set<string>();
  const queue = [beginning()];
  let both = 0;
  let ran = 0;
  for (let parties = queue.pop(); parties !== undefined; parties = queue.pop()) {
    const key = JSON.stringify(parties);
    if (seen.has(key)) continue;
    seen.add(key);
    if (parties.runsThere) ran += 1;
    if (parties.runsThere && parties.source === 'running') both += 1;
    queue.push(...nexts(parties, mayResume));
  }
  return { states: seen.size, both, ran };
}

describe('two parties with unreliable messages', () => {
  test('two parties with lost, doubled, delayed and reordered messages never both run a copy', (t) => {
    const { states, both, ran } = walk(judgedResume);
    t.diagnostic(`${states} states`);
    assert.equal(both, 0);
    assert.ok(ran > 0, 'the walk gets as far as a commit');
  });

  test('two parties would both run a copy if the source resumed on its own guess', () => {
    assert.ok(walk(() => true).both > 0);
  });
});
