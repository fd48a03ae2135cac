import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  destinationMoverRequest,
  journalFile,
  moverRequest,
  moverState,
  sourceMoverRequest,
} from '../../../src/protocol/mover/request.ts';
import { valuesOf } from '../arbitrary.ts';

test('every mover request survives its file unchanged, for its side only', () => {
  for (const schema of [sourceMoverRequest, destinationMoverRequest]) {
    fc.assert(
      fc.property(valuesOf(schema), (value) => {
        const request = moverRequest.parse(JSON.parse(JSON.stringify(value)));
        assert.deepEqual(schema.parse(JSON.parse(JSON.stringify(request))), request);
      }),
      { numRuns: 50 },
    );
  }
});

describe('a request', () => {
  test('a mover request of an unknown side or version is refused', () => {
    fc.assert(
      fc.property(valuesOf(sourceMoverRequest), (value) => {
        const request = value as object;
        assert.equal(moverRequest.safeParse({ ...request, side: 'middle' }).success, false);
        assert.equal(moverRequest.safeParse({ ...request, version: 2 }).success, false);
      }),
      { numRuns: 20 },
    );
  });

  test("a mover request of one side cannot be read as the other's", () => {
    fc.assert(
      fc.property(valuesOf(sourceMoverRequest), (value) => {
        assert.equal(destinationMoverRequest.safeParse(value).success, false);
      }),
      { numRuns: 20 },
    );
  });
});

test('a known mover has a process and a socket; an address only at the destination', () => {
  const state = { pid: 12, startTicks: 99, socket: 'mover.sock' };
  assert.deepEqual(moverState.parse(state), state);
  assert.equal(moverState.safeParse({ ...state, pid: 0 }).success, false);
  assert.equal(moverState.safeParse({ ...state, address: 'nowhere' }).success, false);
});

test('each side has a separate journal', () => {
  assert.equal(journalFile('source'), 'journal-source.jsonl');
  assert.equal(journalFile('destination'), 'journal-destination.jsonl');
});
