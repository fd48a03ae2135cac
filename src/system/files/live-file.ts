import { readFileSync, statSync } from 'node:fs';

/**
 * Parsed content of a file, read again when the file is replaced; a look costs one `stat`. If `read` throws, the last
 * value stays; the first time the error is thrown. Undefined until there is a file.
 */
export function liveFile<T>(file: string, read: (text: string) => T): () => T | undefined {
  let seen: string | undefined;
  let value: { readonly is: T } | undefined;
  return () => {
    const mark = markOf(file);
    if (mark === undefined || mark === seen) return value?.is;
    try {
      value = { is: read(readFileSync(file, 'utf8')) };
      seen = mark;
    } catch (thrown) {
      if (value === undefined) throw thrown;
      seen = mark;
    }
    return value.is;
  };
}

function markOf(file: string): string | undefined {
  const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.ino}-${stat.mtimeNs}-${stat.size}`;
}
