import { E2E, type E2eFile } from './test-times.ts';

/**
 * Which end-to-end files run. The core shows the main behaviours, and runs always. The rest are matrices, long runs,
 * copied disks, cuts of the wire and some networks: they run with `npm run test:all`, and in CI as far as the time goes.
 */

export interface Plan {
  /** In the order in which they are to run. */
  readonly files: readonly string[];
  /** What is left out, and why. */
  readonly leftOut: readonly { readonly file: string; readonly why: string }[];
}

export interface RestFacts {
  /** Time for these files, of all lanes together, s. */
  readonly budgetS: number;
  /** Files that changed of late; paths from the repository's root. */
  readonly changed: readonly string[];
  /** Differs from run to run, so that every file has its turn. */
  readonly turn: number;
}

export type E2eTable = Readonly<Record<string, E2eFile>>;

/** What `npm test` runs. Pure. */
export function corePlan(table: E2eTable = E2E): Plan {
  const why = 'not of the core; `npm run test:all` runs it';
  const names = Object.keys(table).toSorted();
  return {
    files: names.filter((file) => table[file]?.core === true),
    leftOut: names.filter((file) => table[file]?.core !== true).map((file) => ({ file, why })),
  };
}

/**
 * Which files CI runs after the core: first those that test a folder that changed, then the others in turn, while there is
 * time. A file that takes longer than what is left is left out, also where it tests what changed. Pure.
 */
export function restPlan({ budgetS, changed, turn }: RestFacts, table: E2eTable = E2E): Plan {
  const rest = corePlan(table).leftOut.map(({ file }) => file);
  const begin = rest.length === 0 ? 0 : turn % rest.length;
  const inTurn = [...rest.slice(begin), ...rest.slice(0, begin)];
  const touched = inTurn.filter((file) => isTouched(file, table[file], changed));
  const others = inTurn.filter((file) => !touched.includes(file));
  let left = budgetS;
  const files: string[] = [];
  const leftOut: { file: string; why: string }[] = [];
  for (const file of [...touched, ...others]) {
    const { seconds } = table[file] ?? { seconds: 0 };
    if (seconds <= left) {
      left -= seconds;
      files.push(file);
      continue;
    }
    const why = `it takes ${seconds} s, and ${left} s were left`;
    const changedToo = touched.includes(file) ? ', although what it tests has changed' : '';
    leftOut.push({ file, why: why + changedToo });
  }
  return { files, leftOut };
}

/**
 * Whether a file would end in the `leftS` seconds that are left, on this machine: as much slower than its known time as
 * the files that ended here were than theirs. Pure.
 */
export function mayBegin(
  file: string,
  leftS: number,
  ended: readonly { readonly name: string; readonly seconds: number }[],
  table: E2eTable = E2E,
): boolean {
  const secondsOf = (name: string): number => table[name]?.seconds ?? 0;
  const known = ended.reduce((sum, { name }) => sum + secondsOf(name), 0);
  const took = ended.reduce((sum, { seconds }) => sum + seconds, 0);
  const slowness = known > 0 ? Math.max(1, took / known) : 1;
  return secondsOf(file) * slowness <= leftS;
}

function isTouched(file: string, row: E2eFile | undefined, changed: readonly string[]): boolean {
  const folders = row?.of ?? [];
  return changed.some((each) => each === file || folders.some((folder) => each.startsWith(folder)));
}
