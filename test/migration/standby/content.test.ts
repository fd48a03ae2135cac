import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  disksOf,
  numberOf,
  type ShownDescription,
} from '../../../src/migration/standby/content.ts';

const image = (node: string, readOnly = false) => ({
  node,
  format: 'qcow2' as const,
  bytes: 1,
  readOnly,
});
const described = (disks: { name: string; images: ReturnType<typeof image>[] }[]) => ({
  driver: 'fake',
  name: 'web1',
  memoryBytes: 1,
  vcpus: 1,
  hypervisorVersion: '1',
  disks,
  spec: {},
});
const place = (node: string, path: string) => ({ node, pool: '0'.repeat(16), path });

test('a description shows each disk with its path and its backing files', () => {
  const description = described([
    { name: 'vda', images: [image('top'), image('base', true)] },
    { name: 'cd0', images: [image('tools', true)] },
  ]);
  const places = [
    place('top', 'vms/top.qcow2'),
    place('base', 'base.raw'),
    place('tools', 't.iso'),
  ];
  assert.equal(
    disksOf({ description, places }),
    'vda: vms/top.qcow2 (qcow2) on base.raw (qcow2); cd0: t.iso (qcow2, read-only)',
  );
  assert.equal(disksOf({ description: described([]) }), 'no disks');
});

test('the list of many disks is bounded', () => {
  const name = 'd'.repeat(200);
  const disks = Array.from({ length: 64 }, () => ({ name, images: [image('node')] }));
  assert.ok(disksOf({ description: described(disks) }).length <= 1024);
});

test('a changed description, report or time changes the number of a description', () => {
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  const shown: ShownDescription = {
    from: 'a',
    guest: 'web1',
    disks: 'vda: x',
    digest: 'one',
    reportedDigest: 'one',
    confirmedAt: '2026-11-24T10:00:00.000Z',
  };
  const numbers = [
    shown,
    { ...shown, disks: 'vda: y' },
    { ...shown, digest: 'two' },
    { ...shown, reportedDigest: 'two' },
    { ...shown, confirmedAt: undefined },
  ].map((each) => numberOf(each, hash));
  assert.equal(new Set(numbers).size, numbers.length);
  assert.match(numbers[0] ?? '', /^[0-9a-f]{16}$/);
});
