import fc from 'fast-check';
import type { QemuOfMachine } from '../test/conformance/qemu-place.ts';
import { routesFor } from './plan.ts';
import { RANDOM } from './random.ts';
import type { Shape } from './shape.ts';
import { tryShape } from './trial.ts';

/** Tries so many random guests; one that does not move is made as small as it can be, and reported with its line. */
export async function tryRandom(
  programs: readonly QemuOfMachine[],
  { runs, seed }: { readonly runs: number; readonly seed: number },
): Promise<{ moved: number; broken: number }> {
  let moved = 0;
  const routes = fc.constantFrom(...routesOf(programs));
  const property = fc.asyncProperty(RANDOM, routes, async (shape: Shape, route) => {
    const outcome = await tryShape(shape, route);
    if ('why' in outcome) {
      // The first one is what was found: what is left of it may be what breaks the smaller ones.
      process.stderr.write(`broken  ${route.name}: ${outcome.why}\n        ${shape.line}\n`);
      throw new Error(`${route.name}: ${outcome.why}`);
    }
    moved += 1;
    process.stderr.write(`moved   random guest ${moved} (${route.name})\n`);
  });
  const result = await fc.check(property, { numRuns: runs, seed });
  if (!result.failed) return { moved, broken: 0 };
  const [shape] = result.counterexample ?? [];
  const error = result.errorInstance instanceof Error ? result.errorInstance.message : '';
  process.stderr.write(`broken  seed ${result.seed}: ${error}\n        ${shape?.line ?? ''}\n`);
  return { moved, broken: 1 };
}

/** Every route that a guest of this machine's QEMUs can take. */
function routesOf(programs: readonly QemuOfMachine[]) {
  const [any] = fc.sample(RANDOM, { numRuns: 1, seed: 1 });
  return any === undefined ? [] : routesFor(any, programs, { all: true, seed: 1 });
}
