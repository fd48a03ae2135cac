import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Blocks } from '../../../faults/disks/blocks.ts';
import { judgeDisks, type DisksSeen } from '../../../faults/disks/judge.ts';
import type { StoredFiles, StoredFile } from '../../../faults/disks/storage.ts';

const BASE = 'web1/disk0-base.qcow2';
const IMAGES = [BASE, 'web1/disk0.qcow2', 'web1/disk1.raw'];

/** `first`: the inode of the first of them; the others follow. */
function stored(images: readonly string[], first: number): StoredFiles {
  const files = images.map((name, index): [string, StoredFile] => {
    const sha = name === 'web1/disk0.qcow2' ? {} : { sha256: name };
    return [name, { ino: first + index, links: 1, directory: false, ...sha }];
  });
  return new Map([['web1', { ino: 1, links: 1, directory: true }], ...files]);
}

function blocks(host: string, more: Partial<Blocks> = {}): Blocks {
  const opened = IMAGES.map((image) => `file:/${host}/${image}`);
  return { host, opened, nodes: ['disk0'], jobs: [], exports: [], bitmaps: [], ...more };
}

function locks(host: string): Map<string, string[]> {
  return new Map(IMAGES.map((image) => [`${host}:${image}`, image === BASE ? [] : [host]]));
}

const MOVED: DisksSeen = {
  from: 'a',
  to: 'b',
  host: 'b',
  outcome: 'done',
  images: IMAGES,
  before: new Map<string, StoredFiles>([
    ['a', stored(IMAGES, 10)],
    ['b', new Map()],
  ]),
  now: new Map<string, StoredFiles>([
    ['a', stored([BASE], 10)],
    ['b', stored(IMAGES, 20)],
  ]),
  writers: new Map([...locks('b'), [`a:${BASE}`, []]]),
  blocksBefore: [blocks('a')],
  blocks: [blocks('b', { nodes: ['disk0', 'disk0-image'] })],
  writes: true,
};
const STAYED: DisksSeen = {
  ...MOVED,
  host: 'a',
  outcome: 'failed',
  now: MOVED.before,
  writers: locks('a'),
  blocks: [blocks('a')],
};

const problems = (seen: Partial<DisksSeen>, base = MOVED): string =>
  judgeDisks({ ...base, ...seen }).join('; ');

const withFile = (
  host: string,
  name: string,
  file: StoredFile,
  base: DisksSeen,
): Partial<DisksSeen> => ({
  now: new Map<string, StoredFiles>([
    ...base.now,
    [host, new Map([...(base.now.get(host) ?? []), [name, file]])],
  ]),
});
const FILE = { ino: 99, links: 1, directory: false };

describe("the judge of a guest's disks", () => {
  test('the disk judge accepts disks that moved, or stayed unchanged', () => {
    assert.equal(problems({}), '');
    assert.equal(problems({}, STAYED), '');
  });

  test("the disk judge finds a migration's temporary file, and an image that kept its second name", () => {
    const made = withFile('a', 'web1/.godwit-m-1-0', FILE, STAYED);
    assert.match(problems(made, STAYED), /left on the storage of a: web1\/\.godwit-m-1-0/);
    const twice = withFile('b', 'web1/disk1.raw', { ...FILE, links: 2 }, MOVED);
    assert.match(problems(twice), /disk1\.raw on b has 2 names/);
  });

  test('the disk judge finds half an image without its guest, and a missing one with its guest', () => {
    const half = withFile('b', 'web1/disk1.raw', FILE, STAYED);
    assert.equal(problems(half, STAYED), 'left on the storage of b: web1/disk1.raw');
    const gone = new Map<string, StoredFiles>([
      ...MOVED.now,
      ['b', stored(IMAGES.slice(0, 2), 20)] as const,
    ]);
    assert.match(problems({ now: gone }), /disk1\.raw is not on the storage of b/);
  });

  test('the disk judge finds an image left at the source, and lets the backing file stay', () => {
    assert.match(
      problems(withFile('a', 'web1/disk1.raw', FILE, MOVED)),
      /left on the storage of a/,
    );
    const without = new Map<string, StoredFiles>([...MOVED.now, ['a', new Map()] as const]);
    assert.match(problems({ now: without }), /gone from the storage of a: .*-base/);
  });

  test('the disk judge requires the very same files at a source that has its guest back', () => {
    const other = new Map<string, StoredFiles>([...STAYED.now, ['a', stored(IMAGES, 30)] as const]);
    assert.match(problems({ now: other }, STAYED), /disk0\.qcow2 on a is another file/);
  });

  test('the disk judge finds a changed backing file, or a changed unwritten part', () => {
    for (const image of [BASE, 'web1/disk1.raw']) {
      const other = withFile('b', image, { ...FILE, sha256: 'other' }, MOVED);
      assert.equal(problems(other), `${image} on b holds something else`);
    }
  });

  test("the disk judge requires the write lock at the guest's host and no other", () => {
    const none = new Map([...MOVED.writers, ['b:web1/disk1.raw', []] as const]);
    assert.match(problems({ writers: none }), /b:web1\/disk1\.raw is locked to write by nobody/);
    const both = new Map([...MOVED.writers, ['b:web1/disk1.raw', ['a', 'b']] as const]);
    assert.match(problems({ writers: both }), /by a and b/);
    const base = new Map([...MOVED.writers, [`b:${BASE}`, ['b']] as const]);
    assert.match(problems({ writers: base }), /-base\.qcow2 is locked to write by b/);
  });

  test('the disk judge finds remains in a QEMU: a job, an export, a bitmap, a connection', () => {
    const left = { jobs: ['mirror0'], exports: ['disk0'], bitmaps: ['b0 on disk0'] };
    const opened = [...blocks('b').opened, 'nbd:unix://disk0?socket=disks.sock'];
    const text = problems({ blocks: [blocks('b', { ...left, opened })] });
    for (const what of ['job is left at b: mirror0', 'export', 'bitmap', 'left open at b: nbd:']) {
      assert.ok(text.includes(what), what);
    }
  });

  test('the disk judge requires that a QEMU with its guest back has the same files and nodes', () => {
    const marked = [blocks('a', { nodes: ['disk0', 'godwit-disks-whole'] })];
    assert.match(problems({ blocks: marked }, STAYED), /had nodes disk0, and has .*whole/);
    assert.match(problems({ blocks: [] }, STAYED), /does not report its disks/);
  });

  test('the disk judge requires the images of a guest that died at the source, and none elsewhere', () => {
    const died = { ...STAYED, host: undefined, writes: undefined, blocks: [] };
    assert.equal(judgeDisks(died).join(), '');
    assert.match(
      problems(withFile('b', 'web1/disk1.raw', FILE, died), died),
      /left on the storage/,
    );
  });

  test('the disk judge reports a guest whose writes are refused', () => {
    assert.match(problems({ writes: false }), /cannot write/);
  });
});
