import { importsOf, programs, type Tree } from './tidy.ts';

/**
 * Finds files of src/ that import each other in a circle. Type imports and dynamic imports count: a reader follows them
 * as well. A program that a file starts is not an import.
 */
export function cycleProblems(
  tree: Tree,
  known: readonly (readonly string[])[] = KNOWN_CYCLES,
): string[] {
  const graph = graphOf(tree);
  const cycles = cyclesOf(graph);
  const inCycle = new Set(cycles.flat());
  const stale = known.flat().filter((file) => !inCycle.has(file));
  const found = cycles
    .filter((cycle) => !known.some((each) => cycle.every((file) => each.includes(file))))
    .flatMap((cycle) =>
      cycle.map((file) => {
        const others = (graph.get(file) ?? []).filter((target) => cycle.includes(target));
        return `${file}: is in an import cycle through ${others.join(', ')}; move what both need to a file below them`;
      }),
    );
  return [
    ...found,
    ...stale.map(
      (file) => `${file}: is not in a cycle any more; remove it from tools/import-cycles.ts`,
    ),
  ];
}

function graphOf(tree: Tree): Map<string, string[]> {
  const files = programs(tree, 'src/');
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

/** The cycles that are left. The list only shrinks: a file leaves it with its cycle, and none is added. */
const KNOWN_CYCLES: readonly (readonly string[])[] = [
  ['src/agent/expected-arrivals.ts', 'src/agent/host/closing.ts'],
  ['src/agent/migrations/store.ts', 'src/agent/migrations/way-back.ts'],
  [
    'src/controller/store/audit.ts',
    'src/controller/store/open.ts',
    'src/controller/store/schema.ts',
    'src/controller/store/versions.ts',
  ],
  [
    'src/drivers/fake/destination.ts',
    'src/drivers/fake/driver.ts',
    'src/drivers/fake/instance.ts',
    'src/drivers/fake/source.ts',
    'src/drivers/fake/stream.ts',
    'src/drivers/fake/world.ts',
  ],
  ['src/mover/direct/destination/build.ts', 'src/mover/direct/destination/verify.ts'],
  [
    'src/mover/direct/destination/destination-context.ts',
    'src/mover/direct/destination/silent-source.ts',
  ],
  [
    'src/mover/direct/source/backing-files.ts',
    'src/mover/direct/source/carry-media.ts',
    'src/mover/direct/source/close-there.ts',
    'src/mover/direct/source/connections.ts',
    'src/mover/direct/source/data-path.ts',
    'src/mover/direct/source/disk-convergence.ts',
    'src/mover/direct/source/disk-latencies.ts',
    'src/mover/direct/source/disks.ts',
    'src/mover/direct/source/forecast.ts',
    'src/mover/direct/source/guard-postcopy.ts',
    'src/mover/direct/source/guest-changes.ts',
    'src/mover/direct/source/postcopy-pace.ts',
    'src/mover/direct/source/probes.ts',
    'src/mover/direct/source/proofs.ts',
    'src/mover/direct/source/same-machine.ts',
    'src/mover/direct/source/source-context.ts',
    'src/mover/direct/source/step-actions.ts',
    'src/mover/direct/source/storage.ts',
    'src/mover/direct/source/timed-cap.ts',
    'src/mover/direct/source/tunnel.ts',
    'src/mover/direct/source/under-way.ts',
    'src/mover/direct/source/verify.ts',
    'src/mover/direct/source/volumes.ts',
  ],
  ['src/mover/engine/beginning.ts', 'src/mover/engine/notice.ts'],
  [
    'src/mover/managed/guest-changes.ts',
    'src/mover/managed/lifecycle.ts',
    'src/mover/managed/task-steering.ts',
  ],
  [
    'src/network/attachment.ts',
    'src/network/handover.ts',
    'src/network/mapping.ts',
    'src/network/port-settings.ts',
  ],
];
