import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measures } from '../../bench/balloon.ts';

const MIB = 1024 ** 2;
const one = (mib: number, takenMib: number) => ({
  bytes: mib * MIB,
  totalMs: mib * 10,
  takenBytes: takenMib * MIB,
});

test('what a balloon saves is the median of what was sent with it beside the median without', () => {
  const found = measures({
    none: [one(400, 0), one(200, 0), one(300, 0)],
    free: [one(150, 100)],
    available: [one(100, 200), one(60, 220)],
  });
  const value = (name: string) => found.find((each) => each.name === name)?.value;
  assert.equal(value('sent, without'), 300);
  assert.equal(value('sent, --balloon free / without'), 0.5);
  assert.equal(value('sent, --balloon available / without'), 80 / 300);
  assert.equal(value('taken, --balloon available'), 210);
  assert.equal(value('total, --balloon free'), 1500);
});
