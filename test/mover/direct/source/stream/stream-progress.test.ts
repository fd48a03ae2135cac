import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  initialSource,
  type SourceState,
} from '../../../../../src/migration/direct/source/source-state.ts';
import { lastLook, lineOf, whatTook } from '../../../../../src/mover/direct/source/coordinator.ts';
import { progress } from '../../../../../src/protocol/public/migration.ts';
import { planned, sampleOf } from '../../../../migration/direct/samples.ts';

const sample = sampleOf();
const inMemory: SourceState = {
  ...initialSource(planned({ timeoutMs: 600_000 })).state,
  doing: { kind: 'do', step: 'memory' },
  stream: 'active',
};
const NOW = Date.parse('2026-01-01T12:00:00.000Z');
const at = { nowMs: NOW, elapsedMs: 60_000, note: undefined };

describe('the live line', () => {
  test('the live line shows a stalled stream, with its start and its limit', () => {
    const line = lineOf(inMemory, { sample, still: { forMs: 5000, timeoutMs: 45_000 } }, at);
    assert.deepEqual(line.still, {
      since: '2026-01-01T11:59:55.000Z',
      until: '2026-01-01T12:00:40.000Z',
    });
    assert.match(line.note ?? '', /b has been stalled since 11:59:55 UTC/);
  });

  test("the live line waits no longer than the migration's time, from its start", () => {
    const still = { forMs: 5000, timeoutMs: 3_600_000 };
    const { still: asked } = lineOf(inMemory, { sample, still }, at);
    assert.equal(asked?.until, '2026-01-01T12:09:00.000Z');
    const began = { ...inMemory, known: { beganAtMs: NOW - 10_000 } };
    assert.equal(lineOf(began, { sample, still }, at).still?.until, '2026-01-01T12:09:50.000Z');
  });

  test('the live line has no stalled link, and no time limit, once the stream is given up', () => {
    const still = { forMs: 5000, timeoutMs: 45_000 };
    const undoing: SourceState = { ...inMemory, doing: { kind: 'undo', step: 'memory' } };
    const line = lineOf(undoing, { sample, still }, at);
    assert.deepEqual([line.still, line.sample], [undefined, undefined]);
    assert.equal(line.note, 'the link to b was stalled: b is asked to undo its part');
    assert.equal(lineOf(undoing, { sample }, at).note, undefined);
    const ended: SourceState = { ...inMemory, doing: { kind: 'end', outcome: 'failed' } };
    const last = lineOf(ended, { sample, still }, at);
    assert.deepEqual([last.still, last.note], [undefined, undefined]);
  });

  test('the live line prefers a text that was given to it', () => {
    const still = { forMs: 5000, timeoutMs: undefined };
    const line = lineOf(inMemory, { sample, still }, { ...at, note: 'looking for a path' });
    assert.equal(line.note, 'looking for a path');
    assert.deepEqual(line.still, { since: '2026-01-01T11:59:55.000Z' });
  });

  test("the live line fits the API's limits, whatever was seen", () => {
    const still = fc.record({
      forMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
      timeoutMs: fc.option(fc.integer({ min: 1, max: 1e9 }), { nil: undefined }),
    });
    const seen = fc.option(
      fc.record({ sample: fc.constant(sample), still: fc.option(still, { nil: undefined }) }),
      { nil: undefined },
    );
    fc.assert(
      fc.property(seen, (look) => {
        const line = lineOf(inMemory, look, at);
        assert.deepEqual(progress.parse(line), line);
        assert.equal(line.still === undefined, look?.still === undefined);
      }),
    );
  });
});

test('an abandoned stream has the newest figures', () => {
  assert.deepEqual(lastLook(undefined), {});
  assert.deepEqual(lastLook({ sample }), { sample });
});

test('a timeout shows the newest figures, and how long the stream stood still', () => {
  assert.deepEqual(whatTook(undefined), {});
  assert.deepEqual(whatTook({ sample }), { sample, stillMs: 0 });
  const still = { forMs: 1234.5, timeoutMs: undefined };
  assert.deepEqual(whatTook({ sample, still }), { sample, stillMs: 1235 });
});
