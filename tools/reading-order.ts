import path from 'node:path';
import type { Tree } from './tidy.ts';

/** Files that explain a direct migration to a new reader, in reading order. Each README lists its folder's part. */
const CORE = [
  'src/migration/engine/rows.ts',
  'src/mover/engine/engine.ts',
  'src/migration/direct/run-right.ts',
  'src/migration/direct/source/steps.ts',
  'src/migration/direct/hypervisor.ts',
  'src/migration/direct/source/source-state.ts',
  'src/migration/direct/source/state-changes.ts',
  'src/migration/direct/source/transition.ts',
  'src/migration/direct/source/hypervisor-transition.ts',
  'src/mover/direct/source/ports.ts',
  'src/mover/direct/source/lifecycle.ts',
  'src/migration/direct/destination/destination-rows.ts',
  'src/migration/direct/destination/destination.ts',
  'src/mover/direct/destination/lifecycle.ts',
];

/** Core files of each README, which names them in reading order. */
const READMES: Readonly<Record<string, (file: string) => boolean>> = {
  'src/migration/direct/README.md': () => true,
  'src/mover/README.md': (file) => file.startsWith('src/mover/'),
};

const MAX_CORE_FILES = 14;
/** Lines with comments and imports, because a reader passes them, too. */
const MAX_CORE_LINES = 3500;
const MAX_README_LINES = 30;

const linesIn = (text: string): number => text.split('\n').length - 1;

/** The core stays small enough to be read in an hour, and each README has its reading order. */
export function readingOrderProblems(tree: Tree, core: readonly string[] = CORE): string[] {
  const missing = core.filter((file) => !tree.exists(file));
  const lines = core.reduce((sum, file) => sum + linesIn(tree.text(file)), 0);
  return [
    ...missing.map((file) => `${file}: is in the reading order, but does not exist`),
    ...(core.length > MAX_CORE_FILES
      ? [`the reading order has ${core.length} files, more than ${MAX_CORE_FILES}; merge some`]
      : []),
    ...(lines > MAX_CORE_LINES
      ? [`the files of the reading order have ${lines} lines, more than ${MAX_CORE_LINES}`]
      : []),
    ...Object.entries(READMES).flatMap(([readme, has]) =>
      readmeProblems(tree, readme, core.filter(has)),
    ),
  ];
}

function readmeProblems(tree: Tree, readme: string, expected: readonly string[]): string[] {
  if (!tree.exists(readme)) return [`${readme}: does not exist`];
  const text = tree.text(readme);
  const links = [...text.matchAll(/\]\(([^)\s#]+\.ts)\)/g)];
  const listed = links.map(([, link = '']) => path.posix.join(path.dirname(readme), link));
  const lines = linesIn(text);
  const length = Math.max(listed.length, expected.length);
  const at = Array.from({ length }, (_, index) => index).find((i) => listed[i] !== expected[i]);
  return [
    ...(lines > MAX_README_LINES
      ? [`${readme}: has ${lines} lines, more than ${MAX_README_LINES}`]
      : []),
    ...(at === undefined
      ? []
      : [
          `${readme}: its file ${at + 1} is ${listed[at] ?? 'missing'}; the reading order has ${expected[at] ?? 'no more files'} there`,
        ]),
  ];
}
