import { importsOf, programs, within, type Tree } from './tidy.ts';

const DIRECT = ['src/mover/direct', 'src/migration/direct'];
const MANAGED = ['src/mover/managed', 'src/migration/managed'];
/** Folders of one lifecycle, and what they may not import. */
const APART: Readonly<Record<string, readonly string[]>> = {
  'src/mover/engine': [...DIRECT, ...MANAGED],
  'src/mover/shared': [...DIRECT, ...MANAGED],
  'src/mover/direct': MANAGED,
  'src/migration/direct': MANAGED,
  'src/mover/managed': DIRECT,
  'src/migration/managed': DIRECT,
};

/** A direct and a managed migration know nothing of each other, and what both share knows neither. */
export function lifecycleLayerProblems(tree: Tree): string[] {
  return Object.entries(APART).flatMap(([folder, others]) =>
    programs(tree, `${folder}/`).flatMap((file) =>
      importsOf(tree, file)
        .filter((target) => within(target, others))
        .map((target) => `${file}: may not import ${target}; move what both need out of there`),
    ),
  );
}
