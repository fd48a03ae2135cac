import { closeSync, constants, readSync } from 'node:fs';
import path from 'node:path';
import { isPlain, openFound } from '../../../system/files/checked-open.ts';
import { defined } from '../../../protocol/defined.ts';
import { valuesOf, type CommandLine } from '../spec/cmdline.ts';
import type { ConfigFile } from '../spec/facts.ts';

const MAX_BYTES = 1024 * 1024;
const MAX_SECTIONS = 1024;
/** Far above real use; each file is read at every look at the host. */
const MAX_FILES = 16;

/**
 * Sections in the files of -readconfig. Their present objects are read from QEMU, because the files may have
 * changed. The process may name any path, so only regular files are read and links are not followed.
 */
export function readConfigFiles(line: CommandLine, cwd: string): ConfigFile[] {
  return valuesOf(line, 'readconfig').map((file, at) => {
    if (at >= MAX_FILES) return { file, problem: `it is one of more than ${MAX_FILES} files` };
    try {
      const text = readBounded(path.resolve(cwd, file));
      const sections = text === undefined ? undefined : sectionsOf(text);
      if (sections !== undefined && sections.length <= MAX_SECTIONS) return { file, sections };
      return {
        file,
        problem: `its file has more than ${MAX_BYTES} bytes or ${MAX_SECTIONS} sections`,
      };
    } catch {
      return { file, problem: 'its file cannot be read, or is no plain file' };
    }
  });
}

function readBounded(file: string): string | undefined {
  const fd = openFound(file, constants.O_RDONLY | constants.O_NONBLOCK, isPlain);
  try {
    const bytes = Buffer.alloc(MAX_BYTES + 1);
    let length = 0;
    for (;;) {
      const read = readSync(fd, bytes, length, bytes.length - length, null);
      length += read;
      if (length > MAX_BYTES) return undefined;
      if (read === 0) return bytes.toString('utf8', 0, length);
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * `[device "ehci"]` is `device` with an id; `[machine]` has none. Returns at most one section above the limit.
 * Pure.
 */
export function sectionsOf(text: string): NonNullable<ConfigFile['sections']> {
  const found = text.matchAll(/^[ \t]*\[([\w-]+)(?:[ \t]+"([^"\n]*)")?[ \t]*\]/gm);
  return found
    .take(MAX_SECTIONS + 1)
    .map(([, type = '', id]) => ({ type, ...defined({ id }) }))
    .toArray();
}
