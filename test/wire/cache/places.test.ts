import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { Places, placesDigest } from '../../../src/wire/cache/places.ts';

const MIB = 2 ** 20;
const CELLS = 16;
const entry = fc.record({
  block: fc.constantFrom(0, 1, 4095),
  page: fc.nat(40),
  name: fc.uint8Array({ minLength: 16, maxLength: 16 }),
});

function file(context: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'godwit-places-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'guest.places');
}

describe('the places of a guest', () => {
  test('the places of a guest are the latest ones, or forgotten, and the same again from their file', (context) => {
    const at = file(context);
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 60 }), (entries) => {
        const places = Places.empty(CELLS);
        const all = new Map<string, Uint8Array>();
        for (const { block, page, name } of entries) {
          places.set(block, page, name);
          all.set(`${block}:${page}`, name);
          assert.deepEqual(Uint8Array.from(places.get(block, page) ?? []), name);
        }
        places.save(at);
        const again = Places.load(at, CELLS);
        for (const { block, page } of entries) {
          const found = again?.get(block, page);
          assert.deepEqual(found, places.get(block, page));
          if (found) assert.deepEqual(Uint8Array.from(found), all.get(`${block}:${page}`));
        }
        assert.equal(again?.digest(), places.digest());
      }),
    );
  });

  test('the places of a guest are unknown if their file is partial, of another size, or the peer differs', (context) => {
    const at = file(context);
    const places = Places.empty(CELLS);
    places.set(0, 3, Buffer.alloc(16, 9));
    places.save(at);
    const farDigest = placesDigest(at, CELLS);
    assert.ok(Places.agreed({ file: at, cells: CELLS, farDigest }).get(0, 3));
    assert.equal(Places.agreed({ file: at, cells: CELLS, farDigest: '' }).get(0, 3), undefined);
    assert.equal(Places.load(at, CELLS * 2), undefined);
    const bytes = readFileSync(at);
    for (let length = 0; length < bytes.length; length += 13) {
      writeFileSync(at, bytes);
      truncateSync(at, length);
      assert.equal(Places.load(at, CELLS), undefined);
      const changed = Buffer.from(bytes);
      changed[length] = (changed[length] ?? 0) ^ 1;
      writeFileSync(at, changed);
      assert.equal(Places.load(at, CELLS), undefined);
    }
    assert.equal(placesDigest(at, CELLS), '');
  });

  test('the places of a 16 GiB guest use memory for touched pages only, even while saved and read', (context) => {
    const program = path.join(import.meta.dirname, 'large-guest.ts');
    const said = execFileSync(process.execPath, [program, file(context)], { encoding: 'utf8' });
    const { savedBytes, bytes, same } = JSON.parse(said) as Record<string, number | boolean>;
    assert.ok(same);
    // 24 bytes for each of 1,572,864 pages are 36 MiB; the rest is of the pieces, and of V8.
    assert.ok(Number(savedBytes) < 56 * MIB, `${savedBytes} bytes for its places`);
    assert.ok(Number(bytes) < 96 * MIB, `${bytes} bytes with those that were read`);
  });
});
