import type { Plan, Scene } from './plan.ts';

/** Plans that are simpler than one that fails, the simplest first. Pure. */

const PLAINEST: Scene = {
  driver: 'qemu',
  mode: 'precopy',
  path: 'native',
  layout: 'none',
  noShutdown: false,
  isShareRw: false,
  mibPerSecond: 24,
};

/** Fewer operations, then a simpler scene, then operations at the moment itself. None is the plan itself. */
export function simpler(plan: Plan): Plan[] {
  return [...fewer(plan), ...plainer(plan), ...sooner(plan)];
}

function fewer({ operations, ...rest }: Plan): Plan[] {
  if (operations.length <= 1) return [];
  // One alone, then all but one.
  const alone = operations.map((each) => [each]);
  const without = operations.map((_, at) => operations.filter((_each, index) => index !== at));
  const all = operations.length === 2 ? alone : [...alone, ...without];
  return all.map((left) => ({ ...rest, operations: left }));
}

function plainer({ scene, ...rest }: Plan): Plan[] {
  const keys = [
    'driver',
    'path',
    'mode',
    'layout',
    'noShutdown',
    'isShareRw',
    'mibPerSecond',
  ] as const;
  return keys.flatMap((key) => {
    if (scene[key] === PLAINEST[key]) return [];
    return [{ ...rest, scene: { ...scene, [key]: PLAINEST[key] } }];
  });
}

function sooner({ operations, ...rest }: Plan): Plan[] {
  return operations.flatMap((each, at) =>
    each.afterMs === 0
      ? []
      : [{ ...rest, operations: operations.with(at, { ...each, afterMs: 0 }) }],
  );
}

/** The simplest plan that still fails, found with at most `tries` further runs. */
export async function shrink(
  failing: Plan,
  fails: (plan: Plan) => Promise<boolean>,
  tries: number,
): Promise<Plan> {
  let least = failing;
  let left = tries;
  for (let found = true; found;) {
    found = false;
    for (const candidate of simpler(least)) {
      if (left === 0) return least;
      left -= 1;
      if (!(await fails(candidate))) continue;
      least = candidate;
      found = true;
      break;
    }
  }
  return least;
}
