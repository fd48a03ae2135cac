import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CommandWriter, MAX_BYTES } from '../../../../src/drivers/qemu/qmp/command-writer.ts';

/** A monitor’s end that keeps each write as it came. */
function monitor(): { output: Writable; writes: Buffer[] } {
  const writes: Buffer[] = [];
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      writes.push(chunk);
      done();
    },
  });
  return { output, writes };
}

const turnOver = () => new Promise((resolve) => setImmediate(resolve));

const line = fc
  .oneof(
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    fc.string({ minLength: 4000, maxLength: 9000 }),
  )
  .map((text) => `${JSON.stringify({ execute: text })}\n`);

describe('commands to a monitor', () => {
  test('commands arrive byte for byte, together if from one turn, and none is cut where a pipe could tear it', async () => {
    const turns = fc.array(fc.array(line, { maxLength: 40 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(turns, fc.boolean(), async (all, isLate) => {
        const { output, writes } = monitor();
        const writer = new CommandWriter(output);
        for (const lines of all) {
          for (const each of lines) {
            writer.push(each);
            if (isLate) await Promise.resolve();
          }
          await turnOver();
        }
        assert.equal(Buffer.concat(writes).toString(), all.flat().join(''));
        for (const each of writes) {
          assert.equal(each.at(-1), 0x0a);
          const isOne = each.indexOf(0x0a) === each.length - 1;
          assert.ok(each.length <= MAX_BYTES || isOne);
        }
        // Two that follow each other in one turn have no room in one write.
        const bytes = Buffer.concat(writes).length;
        assert.ok(writes.length <= all.length + (2 * bytes) / MAX_BYTES);
      }),
      { numRuns: 100 },
    );
  });

  test('commands are written before the turn is over, or at once on request', async () => {
    const { output, writes } = monitor();
    const writer = new CommandWriter(output);
    writer.push('one\n');
    writer.push('two\n');
    assert.equal(writes.length, 0);
    writer.flush();
    assert.equal(String(writes), 'one\ntwo\n');
    writer.push('three\n');
    writer.drop();
    await turnOver();
    assert.equal(writes.length, 1);
  });
});
