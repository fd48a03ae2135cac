import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrivalAnswer, arrivalQuery } from '../../../src/protocol/peer/arrival.ts';

test('a host asks for a guest by names and an id, and never by a path or an address', () => {
  const asked = { guest: 'web1', from: 'a', driver: 'libvirt' };
  assert.deepEqual(arrivalQuery.parse(asked), asked);
  for (const wrong of [
    { ...asked, guest: '../web1' },
    { ...asked, from: '' },
    { ...asked, driver: 'x'.repeat(33) },
  ])
    assert.equal(arrivalQuery.safeParse(wrong).success, false);
  const file = { ...asked, file: '/etc/passwd' };
  assert.deepEqual(arrivalQuery.parse(file), asked);
});

test('an answer has no more checks than a report accepts', () => {
  const look = { name: 'disks', side: 'destination', verdict: 'pass', evidence: '' } as const;
  const looks = (count: number) => ({ checks: Array.from({ length: count }, () => look) });
  assert.equal(arrivalAnswer.safeParse(looks(96)).success, true);
  assert.equal(arrivalAnswer.safeParse(looks(97)).success, false);
});
