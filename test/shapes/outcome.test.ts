import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { outcomeOf } from '../../shapes/outcome.ts';
import { MOVED, refused, warned } from '../../shapes/shape.ts';

const moved = (...warnings: string[]) => ({ is: 'moved', warnings, lost: [] }) as const;
const WHY = { codes: ['GODWIT_DEVICE_UNMOVABLE'], messages: ['device a cannot move'] };
const REFUSED = refused('GODWIT_DEVICE_UNMOVABLE', 'device a');

describe('the outcome of a shape', () => {
  test('a shape counts as moved or refused if the table expects that', () => {
    assert.equal(outcomeOf(MOVED, moved()).is, 'moved');
    assert.equal(outcomeOf(warned('-vnc'), moved('-vnc is not offered')).is, 'moved');
    assert.equal(outcomeOf(REFUSED, { is: 'refused', ...WHY }).is, 'refused');
  });

  test('a shape is broken if its result or its error text contradicts the table', () => {
    assert.equal(outcomeOf(MOVED, { is: 'refused', ...WHY }).is, 'broken');
    assert.equal(outcomeOf(REFUSED, moved()).is, 'broken');
    const other = refused('GODWIT_DEVICE_UNMOVABLE', 'device b');
    assert.equal(outcomeOf(other, { is: 'refused', ...WHY }).is, 'broken');
  });

  test('a shape is lost if the guest changed, or lost something that the table does not mention', () => {
    const other = { is: 'moved', warnings: [], lost: ['spec.name: a became b'] } as const;
    assert.equal(outcomeOf(MOVED, other).is, 'lost');
    assert.equal(outcomeOf(MOVED, moved('-vnc is not offered')).is, 'lost');
    assert.equal(outcomeOf(warned('-vnc'), moved()).is, 'lost');
  });
});
