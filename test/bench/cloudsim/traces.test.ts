import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseTraces, TraceError } from '../../../bench/cloudsim/traces.ts';

test('reads one guest a line, sorted by name', () => {
  assert.deepEqual(parseTraces('b,0,100\na,5,7\n', 'day.csv'), [
    { name: 'a', loads: [0.05, 0.07] },
    { name: 'b', loads: [0, 1] },
  ]);
});

test('says file, line, column and what was expected', () => {
  const refused = (text: string, pattern: RegExp): void => {
    assert.throws(() => parseTraces(text, 'day.csv'), pattern);
  };
  refused('a,1,2\nb,1,x\n', /day\.csv:2: column 3: expected a whole number from 0 to 100, got 'x'/);
  refused('a,1,101\n', /day\.csv:1: column 3: expected a whole number/);
  refused('a,1,-1\n', /day\.csv:1: column 3/);
  refused('a,1,2\nb,1\n', /day\.csv:2: has 1 samples; expected 2, as in line 1/);
  refused('a\n', /day\.csv:1: has 0 samples/);
  refused(',1\n', /day\.csv:1: column 1: expected a guest's name/);
  refused('a,1\na,1\n', /day\.csv:2: column 1: a is there twice/);
  refused('\n', /day\.csv: has no guest/);
});

test('any text is read or refused with a place, never anything else', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^([ab,0-9x-]{0,9}\n){0,4}$/)), (text) => {
      try {
        for (const { loads } of parseTraces(text, 'f')) {
          assert.ok(loads.every((load) => load >= 0 && load <= 1));
        }
      } catch (error) {
        assert.ok(error instanceof TraceError && error.message.startsWith('f'));
      }
    }),
  );
});
