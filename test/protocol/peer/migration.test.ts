import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  admission,
  admitted,
  assessment,
  destinationStatus,
  epochBody,
  guestDescription,
  preparation,
  prepared,
  refused,
  running,
  streamSettings,
} from '../../../src/protocol/peer/migration.ts';
import { epoch } from '../../../src/protocol/names.ts';
import { testThroughJson } from '../through-json.ts';
import { admissionOf } from './admission.ts';

testThroughJson({
  admission,
  admitted,
  assessment,
  destinationStatus,
  epochBody,
  guestDescription,
  preparation,
  prepared,
  refused,
  running,
  streamSettings,
});

describe('messages of a peer', () => {
  const good = admissionOf({ memoryBytes: 1 << 30 });

  test("a peer's message names no path of this host", () => {
    assert.equal(admission.safeParse(good).success, true);
    for (const field of ['id', 'guest', 'from'] as const) {
      for (const bad of ['../../etc/passwd', '/dev/sda', 'a\0b', '']) {
        assert.equal(admission.safeParse({ ...good, [field]: bad }).success, false, field);
      }
    }
  });

  test("a peer's message requests no impossible amount", () => {
    for (const memoryBytes of [-1, 0.5, 2 ** 60]) {
      assert.equal(admission.safeParse({ ...good, memoryBytes }).success, false);
    }
    const stream = { mode: 'precopy', streams: 1000, compress: 'none', tls: true };
    assert.equal(streamSettings.safeParse(stream).success, false);
  });

  test('epochs count from 1, in whole numbers', () => {
    for (const bad of [0, -1, 1.5, 2 ** 60, '1']) assert.equal(epoch.safeParse(bad).success, false);
    assert.equal(epoch.parse(1), 1);
  });

  test('a peer refuses explicitly, and not by silence', () => {
    assert.equal(refused.safeParse({ epoch: 1 }).success, false);
    assert.equal(refused.safeParse({ epoch: 1, refused: false }).success, false);
  });
});
