import { programs, within, withoutComments } from './tidy.ts';
import type { Tree } from './tidy.ts';

/** Folders of drivers; what they are called is known there and in the registry alone. */
const driverFolder = /^src\/drivers\/(?!port\/)(\w+)\//;
/** They look for programs and start guests of their own, on purpose with one hypervisor. */
const namesDrivers = ['src/drivers', 'src/cli/doctor', 'src/lab'];

/** The core asks for capabilities: a driver's name, as a word of its own, decides nothing outside of its folder. */
export function driverNameProblems(tree: Tree): string[] {
  const names = new Set(tree.files.flatMap((file) => driverFolder.exec(file)?.[1] ?? []));
  return programs(tree, 'src/')
    .filter((file) => !within(file, namesDrivers))
    .flatMap((file) => {
      const words = withoutComments(tree.text(file)).matchAll(/(['"`])(\w+)\1/g);
      const named = [...words].map(([, , word = '']) => word).filter((word) => names.has(word));
      return named.map((word) => `${file}: names the driver ${word}; ask for a capability of it`);
    });
}
