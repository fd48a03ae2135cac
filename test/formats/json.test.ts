import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonLine } from '../../src/formats/json.ts';

async function linesOf(text: string): Promise<string[]> {
  const input = new PassThrough();
  const lines: string[] = [];
  const reader = createInterface({ input }).on('line', (line) => lines.push(line));
  input.end(text);
  await once(reader, 'close');
  return lines;
}

const text = fc.string({
  unit: fc.constantFrom(
    'a',
    '"',
    '\\',
    '\n',
    '\r',
    '\u2028',
    '\u2029',
    '\u0085',
    '\0',
    'é',
    '\ud800',
  ),
});

test('a value is one line for each line reader, and reads back unchanged', async () => {
  await fc.assert(
    fc.asyncProperty(fc.record({ text, more: fc.dictionary(text, text) }), async (value) => {
      const lines = await linesOf(jsonLine(value));
      assert.equal(lines.length, 1);
      assert.deepEqual(JSON.parse(lines[0] ?? ''), JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 300 },
  );
});
