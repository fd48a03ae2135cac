import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { NameTable } from '../../../src/wire/cache/name-table.ts';
import { Summary, writeSummary } from '../../../src/wire/cache/summary.ts';

function name(seed: number): Buffer {
  return createHash('sha256').update(String(seed)).digest().subarray(0, 16);
}

describe('the table of names', () => {
  test('the table of names behaves like a Map', () => {
    const steps = fc.array(fc.record({ set: fc.boolean(), seed: fc.nat(40) }), { maxLength: 300 });
    // Names that all want the same few cells.
    const close = fc.boolean();
    fc.assert(
      fc.property(steps, close, (all, crowded) => {
        const table = new NameTable();
        const map = new Map<number, number>();
        const of = (seed: number): Buffer => {
          const made = name(seed);
          if (crowded) made.writeUInt32LE(1022 + (seed % 3), 0);
          return made;
        };
        for (const [at, { set, seed }] of all.entries()) {
          if (set) table.set(of(seed), { file: seed, page: at });
          else assert.equal(table.delete(of(seed)), map.has(seed));
          if (set) map.set(seed, at);
          else map.delete(seed);
          assert.equal(table.size, map.size);
        }
        for (let seed = 0; seed <= 40; seed += 1) {
          assert.equal(table.get(of(seed))?.page, map.get(seed));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('the table of names grows and keeps all entries', () => {
    const table = new NameTable();
    for (let seed = 0; seed < 5000; seed += 1) table.set(name(seed), { file: 1, page: seed });
    for (let seed = 0; seed < 5000; seed += 1) assert.equal(table.get(name(seed))?.page, seed);
    assert.equal(table.get(name(5000)), undefined);
  });
});

describe('a summary', () => {
  test('a summary accepts all its entries, almost nothing else, in at most 2.5 bytes a name', () => {
    const names = Array.from({ length: 20_000 }, (_, seed) => name(seed));
    const bytes = writeSummary(names);
    assert.ok(bytes.length <= names.length * 2.5, `${bytes.length} bytes`);
    const summary = new Summary(bytes);
    assert.ok(names.every((each) => summary.has(each)));
    let wrong = 0;
    for (let seed = 20_000; seed < 120_000; seed += 1) if (summary.has(name(seed))) wrong += 1;
    assert.ok(wrong <= 12, `${wrong} of 100,000`);
  });

  test('a summary is bounded: it has the first names', () => {
    const names = Array.from({ length: 500 }, (_, seed) => name(seed));
    const summary = new Summary(writeSummary(names, 100));
    assert.equal(summary.size, 100);
    assert.ok(names.slice(0, 100).every((each) => summary.has(each)));
  });

  test('an empty summary contains nothing', () => {
    assert.equal(new Summary(writeSummary([])).has(name(1)), false);
  });

  test('a summary that a peer invented is refused or answers, whatever it is', () => {
    const sound = writeSummary(Array.from({ length: 50 }, (_, seed) => name(seed)));
    const changed = fc
      .array(fc.record({ at: fc.nat(sound.length - 1), to: fc.nat(255) }))
      .map((changes) => {
        const bytes = Buffer.from(sound);
        for (const { at, to } of changes) bytes[at] = to;
        return bytes;
      });
    const any = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(changed, any), (bytes) => {
        try {
          new Summary(bytes).has(name(3));
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error));
        }
      }),
      { numRuns: 3000 },
    );
  });
});
