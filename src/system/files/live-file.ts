import { readFileSync, statSync } from 'node:fs';

/**
 * What a file's text means, read again whenever the file has become another one: a process that lives long goes by what
 * lies there now. A look costs one `stat`. `read` may throw; then the value of before stays, and the first time it is
 * thrown on. undefined while there has been no file.
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
