import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as parameters from '../../../src/migration/prediction/parameters.ts';

describe('the parameters of a prediction', () => {
  test('the parameters of a prediction are shares or times within bounds', () => {
    const { COSTS, LEVEL, ZERO_NOTE, ZERO_WORK, PIECE_SHARE } = parameters;
    const shares = Object.values(COSTS).flatMap(({ share, again }) => [share, again]);
    for (const { ofPacked = 1 } of Object.values(COSTS)) assert.ok(ofPacked > 0 && ofPacked < 2);
    for (const each of [...shares, LEVEL, ZERO_NOTE, ZERO_WORK, PIECE_SHARE])
      assert.ok(each > 0 && each <= 1, String(each));
    const { START_MS, END_MS, SWITCH_MS, CLIENT_MS, PIECE_MS, CAPPED_PIECE_MS } = parameters;
    for (const each of [START_MS, END_MS, SWITCH_MS, CLIENT_MS, PIECE_MS, CAPPED_PIECE_MS])
      assert.ok(each > 0 && each < 60_000, String(each));
  });

  test('the parameters have no path that sends more over the link than the plain one', () => {
    const { COSTS } = parameters;
    for (const { share } of Object.values(COSTS)) assert.ok(share <= COSTS.plain.share);
  });
});
