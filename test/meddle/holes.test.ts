import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { holeEnvironment } from '../../hostile/holes/hole.ts';
import { HOLES } from '../../meddle/holes.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

describe('a known defect of the product', () => {
  for (const hole of Object.values(HOLES)) {
    test(`stands once in ${hole.file} as it is let in: ${hole.what}`, () => {
      const source = readFileSync(path.join(ROOT, hole.file), 'utf8');
      assert.equal(source.split(hole.from).length - 1, 1, `not once: ${hole.from}`);
      assert.notEqual(hole.from, hole.to);
    });
  }

  test('that is not known is refused, with the names of the known ones', () => {
    assert.throws(() => holeEnvironment(HOLES, 'constructor'), /no hole constructor: choose path/);
  });
});

describe('the witness of meddling owners', () => {
  const JUDGES = ['witness', 'qmp', 'verdict', 'orders', 'remains', 'plan', 'hands', 'host-hands'];

  test('shares no code with what it judges', () => {
    for (const name of JUDGES) {
      const text = readFileSync(path.join(ROOT, 'meddle', `${name}.ts`), 'utf8');
      assert.doesNotMatch(text, /from '\.\.\/src\//, name);
    }
  });
});
