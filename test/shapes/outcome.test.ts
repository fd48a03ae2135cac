import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { outcomeOf } from '../../shapes/outcome.ts';
import { MOVED, refused, warned } from '../../shapes/shape.ts';

const moved = (...warnings: string[]) => ({ is: 'moved', warnings, lost: [] }) as const;
const WHY = { codes: ['GODWIT_DEVICE_UNMOVABLE'], messages: ['device a cannot move'] };
const REFUSED = refused('GODWIT_DEVICE_UNMOVABLE', 'device a');

describe('what became of a shape', () => {
  test('is moved or refused where the table says so', () => {
    assert.equal(outcomeOf(MOVED, moved()).is, 'moved');
    assert.equal(outcomeOf(warned('-vnc'), moved('-vnc is not offered')).is, 'moved');
    assert.equal(outcomeOf(REFUSED, { is: 'refused', ...WHY }).is, 'refused');
  });

  test('is broken where it is refused and should move, or the other way round, or in other words', () => {
    assert.equal(outcomeOf(MOVED, { is: 'refused', ...WHY }).is, 'broken');
    assert.equal(outcomeOf(REFUSED, moved()).is, 'broken');
    const other = refused('GODWIT_DEVICE_UNMOVABLE', 'device b');
    assert.equal(outcomeOf(other, { is: 'refused', ...WHY }).is, 'broken');
  });

  test('is lost where it is another guest there, or something is lost of which the table says nothing', () => {
    const other = { is: 'moved', warnings: [], lost: ['spec.name: a became b'] } as const;
    assert.equal(outcomeOf(MOVED, other).is, 'lost');
    assert.equal(outcomeOf(MOVED, moved('-vnc is not offered')).is, 'lost');
    assert.equal(outcomeOf(warned('-vnc'), moved()).is, 'lost');
  });
});
