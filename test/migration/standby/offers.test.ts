import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ABSENT_MS,
  stepOf,
  type GuestLook,
  type StandbyOfferRecord,
} from '../../../src/migration/standby/offers.ts';

const offer = (more: Partial<StandbyOfferRecord> = {}): StandbyOfferRecord => ({
  guest: 'web1',
  to: 'b',
  digest: 'one',
  labelled: true,
  ...more,
});
const read = (digest: string, labelled = true): GuestLook => ({ kind: 'read', labelled, digest });

test('a guest that is as it was described is confirmed', () => {
  const step = stepOf(offer(), read('one'), 0);
  assert.deepEqual(step, { beat: 'confirm', digest: 'one', refresh: false });
});

test('a guest whose block graph or devices changed is reported at once, and described again', () => {
  const step = stepOf(offer(), read('two'), 0);
  assert.deepEqual(step, { beat: 'confirm', digest: 'two', refresh: true });
});

test('a description that the other host lost is sent again', () => {
  assert.deepEqual(stepOf(offer({ isRefused: true }), read('one'), 0), {
    beat: 'mention',
    refresh: true,
  });
});

test('a guest that cannot be asked is mentioned, and neither confirmed nor withdrawn', () => {
  const step = stepOf(offer(), { kind: 'unread', labelled: true }, 0);
  assert.deepEqual(step, { beat: 'mention', refresh: false });
});

test('a guest that lost its label is withdrawn, and one that never had it is not', () => {
  assert.equal(stepOf(offer(), read('one', false), 0).beat, 'withdraw');
  assert.equal(stepOf(offer(), { kind: 'unread', labelled: false }, 0).beat, 'withdraw');
  assert.equal(stepOf(offer({ labelled: false }), read('one', false), 0).beat, 'confirm');
});

test('a guest that left is withdrawn after ten minutes, and one that is restarted is not', () => {
  const absent: GuestLook = { kind: 'absent', sinceMs: 5 };
  assert.equal(stepOf(offer(), absent, ABSENT_MS).beat, 'mention');
  assert.equal(stepOf(offer(), absent, ABSENT_MS + 5).beat, 'withdraw');
});

test('a withdrawn description stays withdrawn until the other host has answered', () => {
  assert.equal(stepOf(offer({ isWithdrawn: true }), read('one'), 0).beat, 'withdraw');
});
