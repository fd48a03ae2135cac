import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ROWS,
  ROW_NAMES,
  rowsToPrepare,
  ROWS_TO_PREPARE_AGAIN,
  ROWS_TO_SETTLE,
  ROWS_TO_UNDO,
  type RowName,
} from '../../../../src/migration/direct/destination/destination-rows.ts';
import { destinationEvent } from '../../../../src/migration/direct/destination/destination.ts';
import { planned, preparationOf } from '../samples.ts';

const preparation = preparationOf(planned());
const copies = [{ node: 'vda', pool: 'p', path: 'vda.raw' }];

/** The places of these rows in the table. */
const placesOf = (rows: readonly RowName[]): number[] => rows.map((row) => ROW_NAMES.indexOf(row));
const falling = (places: readonly number[]): boolean =>
  places.every((place, index) => index === 0 || place < (places[index - 1] ?? 0));

describe('the rows of a destination', () => {
  test('destination rows are done from first to last, and undone and settled from last to first', () => {
    assert.ok(falling(placesOf(rowsToPrepare({ ...preparation, copies })).toReversed()));
    for (const rows of [ROWS_TO_UNDO, ROWS_TO_PREPARE_AGAIN, ROWS_TO_SETTLE]) {
      assert.ok(rows.length > 0);
      assert.ok(falling(placesOf(rows)), rows.join(', '));
    }
  });

  test('each destination row has an undo or a reason for having none, and likewise a record', () => {
    const records = destinationEvent.options.map(({ shape }) => String(shape.type.value));
    for (const name of ROW_NAMES) {
      const { undo, noUndo, record, unrecorded } = ROWS[name];
      assert.notEqual(undo === undefined, noUndo === undefined, name);
      if (undo === undefined) continue;
      assert.notEqual(record === undefined, unrecorded === undefined, name);
      assert.ok(record === undefined || records.includes(record), name);
    }
  });

  test('rows of `prepare` alone are undone before the source asks for the preparation again', () => {
    assert.deepEqual(
      new Set(ROWS_TO_PREPARE_AGAIN.map((row) => ROWS[row].call)),
      new Set(['prepare']),
    );
    assert.ok(!ROWS_TO_PREPARE_AGAIN.some((row) => (row as RowName) === 'seed'));
  });

  test('destination rows omit the images of a guest whose disks are not copied', () => {
    assert.ok(rowsToPrepare({ ...preparation, copies }).includes('images'));
    assert.ok(!rowsToPrepare({ ...preparation, copies: [] }).includes('images'));
    assert.ok(rowsToPrepare(preparation).includes('hypervisor'));
  });

  test('the last destination row is the point of no return, and nothing undoes it', () => {
    assert.equal(ROW_NAMES.at(-1), 'run');
    assert.equal(ROWS.run.undo, undefined);
    assert.equal(ROWS_TO_UNDO[0], 'arm');
  });
});
