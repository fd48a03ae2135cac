import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MARK_PROPERTY, markOf, parseProperties } from '../../../src/disks/volumes/zfs-report.ts';

const line = (...parts: readonly string[]): string => `${parts.join('\t')}\n`;
const TOP =
  line('tank/vm', 'type', 'filesystem') +
  line('tank/vm', 'volsize', '-') +
  line('tank/vm', 'available', '1000000');

test('a data set is read with the volumes that are directly below it, each with its own mark', () => {
  const text =
    TOP +
    line('tank/vm/web1', 'type', 'volume') +
    line('tank/vm/web1', 'volsize', '8388608') +
    line('tank/vm/web1', 'available', '1000000') +
    line('tank/vm/web1', 'godwit:migration', 'm-0000000a') +
    line('tank/vm/db1', 'type', 'volume') +
    line('tank/vm/db1', 'volsize', '16384') +
    line('tank/vm/db1', 'godwit:migration', '-') +
    line('tank/vm/home', 'type', 'filesystem') +
    line('tank/vm/home', 'volsize', '-');
  assert.deepEqual(parseProperties(text, 'tank/vm'), {
    freeBytes: 1_000_000,
    volumes: [
      { name: 'web1', bytes: 8_388_608, mark: 'm-0000000a' },
      { name: 'db1', bytes: 16_384, mark: undefined },
    ],
    others: ['home'],
  });
});

test('a volume is not a data set for volumes', () => {
  const text = line('tank/vm', 'type', 'volume') + line('tank/vm', 'volsize', '8192');
  assert.equal(parseProperties(text, 'tank/vm')?.freeBytes, undefined);
});

test('a malformed report is refused, and nothing is guessed', () => {
  for (const text of ['', 'x', line('tank/vm', 'type'), TOP.replace('1000000', '-1'), TOP + 'x\n'])
    assert.equal(parseProperties(text, 'tank/vm'), undefined, text);
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.equal(parseProperties(text, 'tank/vm'), undefined);
    }),
  );
});

test("the mark is a property of Godwit's with the migration as its value", () => {
  assert.equal(markOf('m-0000000a'), `${MARK_PROPERTY}=m-0000000a`);
});
