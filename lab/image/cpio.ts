/** A writer of `newc` cpio archives, the format of an initramfs: no root and no tool needed. */

export type ArchiveEntry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode?: number }
  | { readonly kind: 'file'; readonly path: string; readonly data: Buffer; readonly mode?: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | {
      readonly kind: 'character';
      readonly path: string;
      readonly major: number;
      readonly minor: number;
    };

interface Header {
  readonly path: string;
  readonly mode: number;
  readonly data: Buffer;
  readonly links: number;
  readonly major: number;
  readonly minor: number;
}

const TYPE = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  character: 0o020000,
} as const;
const EMPTY = Buffer.alloc(0);
const MAX_SIZE = 0xffff_ffff;

/** The archive of these entries in their order (parents first), always the same bytes for the same entries. */
export function cpioArchive(entries: readonly ArchiveEntry[]): Buffer {
  const parts = entries.flatMap((entry, index) => record(headerOf(entry), index + 1));
  const trailer = { path: 'TRAILER!!!', mode: 0, data: EMPTY, links: 1, major: 0, minor: 0 };
  return Buffer.concat([...parts, ...record(trailer, 0)]);
}

function headerOf(entry: ArchiveEntry): Header {
  const base = { path: entry.path, data: EMPTY, links: 1, major: 0, minor: 0 };
  switch (entry.kind) {
    case 'directory':
      return { ...base, mode: TYPE.directory | (entry.mode ?? 0o755), links: 2 };
    case 'file':
      return { ...base, mode: TYPE.file | (entry.mode ?? 0o644), data: entry.data };
    case 'symlink':
      return { ...base, mode: TYPE.symlink | 0o777, data: Buffer.from(entry.target) };
    case 'character':
      return { ...base, mode: TYPE.character | 0o600, major: entry.major, minor: entry.minor };
  }
}

function record(header: Header, inode: number): Buffer[] {
  const name = Buffer.from(`${header.path}\0`);
  if (header.data.length > MAX_SIZE) throw new RangeError(`${header.path} is too large for cpio`);
  const fields = [
    inode,
    header.mode,
    0, // owner: root
    0, // group: root
    header.links,
    0, // modification time: none, so that equal content is equal bytes
    header.data.length,
    0,
    0,
    header.major,
    header.minor,
    name.length,
    0, // checksum: unused in newc
  ];
  const hex = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  const head = Buffer.concat([Buffer.from(`070701${hex}`), name]);
  return [head, padding(head.length), header.data, padding(header.data.length)];
}

function padding(length: number): Buffer {
  return Buffer.alloc((4 - (length % 4)) % 4);
}
