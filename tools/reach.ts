import { importsOf, programs, within, type Tree } from './tidy.ts';

/** What a package has: its programs, what it exports to other programs, and the dashboard. */
const SHIPPED = ['src/bin', 'src/client.ts', 'src/protocol/public/contract.ts', 'web'];
/** Folders of programs that run in a clone only. */
const CLONE = 'lab/godwit.ts demo bench faults sim hostile meddle shapes tools examples'.split(' ');

/** Every file of src/ is reached from what a package has, and every file of lab/ from a program of a clone. */
export function deadFileProblems(tree: Tree): string[] {
  const shipped = reachedFrom(tree, SHIPPED);
  const inClone = reachedFrom(tree, [...SHIPPED, ...CLONE]);
  return [
    ...programs(tree, 'src/')
      .filter((file) => !shipped.has(file))
      .map(
        (file) => `${file}: no program of a package reaches it; move it out of src/ or remove it`,
      ),
    ...programs(tree, 'lab/')
      .filter((file) => !inClone.has(file))
      .map((file) => `${file}: no program reaches it; use it or remove it`),
  ];
}

function reachedFrom(tree: Tree, entries: readonly string[]): ReadonlySet<string> {
  const reached = new Set<string>();
  const known = new Set(tree.files);
  const queue = tree.files.filter((file) => /\.tsx?$/.test(file) && within(file, entries));
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    queue.push(...importsOf(tree, file).filter((target) => known.has(target)));
  }
  return reached;
}
