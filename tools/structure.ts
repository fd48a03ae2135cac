import path from 'node:path';
import { importsOf, programs, type Tree } from './tidy.ts';

/**
 * Finds files of src/ and lab/ that import each other in a circle. Type imports and dynamic imports count: a reader follows them
 * as well. A program that a file starts is not an import.
 */
export function cycleProblems(tree: Tree): string[] {
  const graph = graphOf(tree);
  return cyclesOf(graph).flatMap((cycle) =>
    cycle.map((file) => {
      const others = (graph.get(file) ?? []).filter((target) => cycle.includes(target));
      return `${file}: is in an import cycle through ${others.join(', ')}; move what both need to a file below them`;
    }),
  );
}

const ourPrograms = (tree: Tree): string[] => [
  ...programs(tree, 'src/'),
  ...programs(tree, 'lab/'),
];

function graphOf(tree: Tree): Map<string, string[]> {
  const files = ourPrograms(tree);
  const known = new Set(files);
  return new Map(
    files.map((file) => [file, importsOf(tree, file, false).filter((target) => known.has(target))]),
  );
}

/** Strongly connected components of two files and more, by Tarjan’s algorithm. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const order = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  const visit = (file: string): number => {
    const own = order.size;
    order.set(file, own);
    const at = stack.push(file) - 1;
    let low = own;
    for (const target of graph.get(file) ?? []) {
      if (!order.has(target)) low = Math.min(low, visit(target));
      else if (stack.includes(target)) low = Math.min(low, order.get(target) ?? low);
    }
    if (low === own) {
      const component = stack.splice(at);
      if (component.length > 1) cycles.push(component.toSorted());
    }
    return low;
  };
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return cycles;
}

/** Files directly in a folder of src/ or lab/. */
const MAX_FILES = 30;

/** A reader takes a folder in at a glance: what is more is grouped by subject. */
export function folderProblems(tree: Tree): string[] {
  const counts = new Map<string, number>();
  for (const file of ourPrograms(tree)) {
    const folder = path.posix.dirname(file);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return [...counts].flatMap(([folder, count]) =>
    count <= MAX_FILES
      ? []
      : [`${folder}: has ${count} files directly, more than ${MAX_FILES}; group them by subject`],
  );
}
