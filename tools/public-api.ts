import { importsOf, programs, within, type Tree } from './tidy.ts';

/** What agents and movers say to each other may change with each build; what programs rest on may not. */
export function publicApiProblems(tree: Tree): string[] {
  return programs(tree, 'src/protocol/public/').flatMap((file) =>
    importsOf(tree, file)
      .filter((target) => within(target, ['src/protocol/peer', 'src/protocol/mover']))
      .map((target) => `${file}: the public API may not rest on ${target}; move what both need up`),
  );
}
