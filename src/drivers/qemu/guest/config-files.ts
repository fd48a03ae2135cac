import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { CommandLine } from '../spec/cmdline.ts';
import { valuesOf } from '../spec/cmdline.ts';
import type { ConfigFile } from '../spec/facts.ts';

/** More than any file of options has. */
const MOST_BYTES = 1024 * 1024;

/** What the files of -readconfig are about. What they made is asked of QEMU: they may have changed since. */
export async function readConfigFiles(line: CommandLine, cwd: string): Promise<ConfigFile[]> {
  return Promise.all(
    valuesOf(line, 'readconfig').map(async (file) => {
      const text = await readFile(path.resolve(cwd, file), 'utf8').catch(() => undefined);
      if (text === undefined || text.length > MOST_BYTES) return { file };
      return { file, sections: sectionsOf(text) };
    }),
  );
}

/** `[device "ehci"]` is `device` with an id; `[machine]` is one without. Pure. */
export function sectionsOf(text: string): NonNullable<ConfigFile['sections']> {
  return [...text.matchAll(/^[ \t]*\[([\w-]+)(?:[ \t]+"([^"\n]*)")?[ \t]*\]/gm)].map(
    ([, type = '', id]) => ({ type, ...(id === undefined ? {} : { id }) }),
  );
}
