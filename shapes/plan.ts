import type { QemuOfMachine } from '../test/conformance/qemu-place.ts';
import type { Shape } from './shape.ts';
import type { Route } from './trial.ts';

const MODES = ['precopy', 'postcopy'] as const;

export type NamedRoute = Route & { readonly name: string };

/**
 * The ways that a shape is moved: every pair of QEMUs that know its machine, the destination's not the older one, by both
 * modes. Without `all` one of them, another for each shape and seed, so that a run has all of them. Pure.
 */
export function routesFor(
  shape: Shape,
  programs: readonly QemuOfMachine[],
  { all, seed }: { readonly all: boolean; readonly seed: number },
): NamedRoute[] {
  const able = programs
    .filter(({ version }) => compare(version, shape.since ?? '7.2') >= 0)
    .toSorted((one, two) => compare(one.version, two.version));
  const routes = able.flatMap((from) =>
    able
      .filter((to) => isWay(shape, compare(to.version, from.version)))
      .flatMap((to) =>
        MODES.map((mode) => {
          const name = `${from.version} to ${to.version}, ${mode}`;
          return { from: from.file, to: to.file, mode, name };
        }),
      ),
  );
  if (all || routes.length === 0) return routes;
  const letters = Buffer.from(shape.name).reduce((sum, letter) => sum + letter, 0);
  const one = routes[(letters + seed) % routes.length];
  return one === undefined ? [] : [one];
}

/** To the same version, or to a newer one where nothing speaks against it. */
function isWay({ oneVersion }: Shape, newer: number): boolean {
  return oneVersion === undefined ? newer >= 0 : newer === 0;
}

function compare(one: string, two: string): number {
  const [major = 0, minor = 0] = one.split('.').map(Number);
  const [otherMajor = 0, otherMinor = 0] = two.split('.').map(Number);
  return major - otherMajor || minor - otherMinor;
}
