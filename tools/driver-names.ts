import { programs, within, withoutComments, type Tree } from './tidy.ts';

/** Folders of drivers; what they are called is known there and in the registry alone. */
const driverFolder = /^src\/drivers\/(\w+)\//;
/** They look for programs, on purpose of one hypervisor. */
const namesDrivers = ['src/drivers', 'src/cli/doctor'];

/** Words that are a driver's name and mean something else. */
const otherMeanings: Readonly<Record<string, string>> = {
  // An option at the top of an agent's configuration, as earlier builds had it.
  'src/config.ts': 'qemu',
  'src/agent/reload.ts': 'qemu',
  // The namespace of QEMU's bitmaps in the protocol of NBD.
  'src/disks/copy/nbd/client.ts': 'qemu',
};

/**
 * The core asks for capabilities: a driver's name decides nothing outside of its folder. It is found as a string, at the
 * beginning of one (`qemu.pid`), and as a word of the program: a key, a property, a variable.
 */
export function driverNameProblems(tree: Tree): string[] {
  const names = new Set(tree.files.flatMap((file) => driverFolder.exec(file)?.[1] ?? []));
  const stale = Object.entries(otherMeanings).filter(
    ([file, name]) => tree.exists(file) && !wordsOf(tree.text(file)).includes(name),
  );
  const named = programs(tree, 'src/')
    .filter((file) => !within(file, namesDrivers))
    .flatMap((file) => {
      const words = new Set(wordsOf(tree.text(file)));
      return [...words]
        .filter((word) => names.has(word) && otherMeanings[file] !== word)
        .map((word) => `${file}: names the driver ${word}; ask for a capability of it`);
    });
  return [
    ...stale.map(
      ([file, name]) => `${file}: is excused for the word ${name}, and does not have it`,
    ),
    ...named,
  ];
}

const literal = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;

/** Every word of the program, and of each string its first one, where that ends before a space. */
function wordsOf(text: string): string[] {
  const begins: string[] = [];
  const code = withoutComments(text).replaceAll(literal, (string) => {
    begins.push(...(/^.(\w+)\b(?!\s)/.exec(string)?.slice(1) ?? []));
    // What a template computes is program again.
    return [...string.matchAll(/\$\{([^}]*)\}/g)].map(([, inner]) => inner).join(' ');
  });
  return [...begins, ...(code.match(/\w+/g) ?? [])];
}
