import { constants } from 'node:fs';
import { access, readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { godwitError } from '../../src/errors.ts';
import { runCommand } from '../command.ts';
import { systemEnvironment } from '../environment.ts';
import type { ArchiveEntry } from './cpio.ts';

/** What a program loads, by `ldd`: libraries by name, and the loader, which is known by its path. Pure. */
export function librariesOf(ldd: string): { readonly name: string; readonly file: string }[] {
  return ldd.split('\n').flatMap((line) => {
    const library = /^\s*(\S+) => (\/\S+) \(0x/.exec(line);
    if (library !== null) return [{ name: `lib/${library[1] ?? ''}`, file: library[2] ?? '' }];
    const loader = /^\s*\/(\S+) \(0x/.exec(line)?.[1];
    return loader === undefined ? [] : [{ name: loader, file: `/${loader}` }];
  });
}

/** A program of this machine, as it would run in the guest: `bin/NAME`, its libraries in `lib`, its loader. */
export async function hostProgram(name: string): Promise<ArchiveEntry[]> {
  const file = await onPath(name);
  if (file === undefined) {
    throw godwitError(
      'GODWIT_HOST_LACKS',
      { what: `the program ${name}, which the lab's guest is to run` },
      { hint: `Install the package ${name}, or run \`npm run setup\`.` },
    );
  }
  // One that is linked statically needs nothing more.
  const libraries = librariesOf(await runCommand(['ldd', file]).catch(() => ''));
  const parts = [{ name: `bin/${name}`, file }, ...libraries];
  const directories = new Set(parts.map((part) => path.dirname(part.name)));
  directories.delete('bin');
  const files = parts.map(async (part): Promise<ArchiveEntry> => {
    const data = await readFile(await realpath(part.file));
    return { kind: 'file', path: part.name, data, mode: 0o755 };
  });
  return [
    ...[...directories].map((each): ArchiveEntry => ({ kind: 'directory', path: each })),
    ...(await Promise.all(files)),
  ];
}

async function onPath(name: string): Promise<string | undefined> {
  for (const directory of (systemEnvironment()['PATH'] ?? '').split(':')) {
    const file = path.join(directory, name);
    const usable = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return file;
  }
  return undefined;
}
