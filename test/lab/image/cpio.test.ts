import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ArchiveEntry, cpioArchive } from '../../../lab/image/cpio.ts';

interface Read {
  readonly path: string;
  readonly mode: number;
  readonly data: Buffer;
}

/** Reads newc as its documentation says, so that the writer is not compared with itself. */
function readArchive(archive: Buffer): Read[] {
  const entries: Read[] = [];
  for (let at = 0; ;) {
    assert.equal(archive.toString('latin1', at, at + 6), '070701');
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const path = archive.toString('utf8', at + 110, at + 110 + nameSize - 1);
    const dataAt = align(at + 110 + nameSize);
    if (path === 'TRAILER!!!') return entries;
    entries.push({ path, mode, data: archive.subarray(dataAt, dataAt + size) });
    at = align(dataAt + size);
  }
}

const align = (offset: number): number => Math.ceil(offset / 4) * 4;

test('an archive holds each entry with its path, kind, mode and bytes', () => {
  const entries: ArchiveEntry[] = [
    { kind: 'directory', path: 'bin' },
    { kind: 'file', path: 'bin/tool', data: Buffer.from('abcde'), mode: 0o755 },
    { kind: 'symlink', path: 'bin/link', target: 'tool' },
    { kind: 'character', path: 'console', major: 5, minor: 1 },
  ];
  const read = readArchive(cpioArchive(entries));
  assert.deepEqual(
    read.map(({ path, mode, data }) => [path, mode.toString(8), data.toString()]),
    [
      ['bin', '40755', ''],
      ['bin/tool', '100755', 'abcde'],
      ['bin/link', '120777', 'tool'],
      ['console', '20600', ''],
    ],
  );
});

test('an archive is read back as written, and the same entries make the same bytes', () => {
  const file = fc.record({
    kind: fc.constant('file' as const),
    path: fc.stringMatching(/^[a-z/]{1,40}$/),
    data: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
  });
  fc.assert(
    fc.property(fc.array(file, { maxLength: 8 }), (files) => {
      const archive = cpioArchive(files);
      assert.equal(archive.length % 4, 0);
      assert.deepEqual(cpioArchive(files), archive);
      const read = readArchive(archive);
      assert.deepEqual(
        read.map(({ path, data }) => ({ path, data: Buffer.from(data) })),
        files.map(({ path, data }) => ({ path, data })),
      );
    }),
  );
});
