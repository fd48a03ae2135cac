import type { ManagerPlace } from '../../protocol/controller/managers.ts';

/**
 * In the options of a manager, `{ "manager": NAME, ... }` stands for how another manager of this controller is reached: its
 * password is written nowhere a second time. Pure.
 */

type Options = ManagerPlace['options'];
type Reference = Readonly<Record<string, unknown>> & { readonly manager: string };

/** Options are as deep as that at most. */
const DEEPEST = 8;

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isReference(value: unknown): value is Reference {
  return isRecord(value) && typeof value['manager'] === 'string';
}

/** Managers that they name. */
export function namedIn(options: Options, depth = 0): string[] {
  if (depth > DEEPEST) return [];
  return Object.values(options).flatMap((value) => {
    if (isReference(value)) return [value.manager];
    return isRecord(value) ? namedIn(value, depth + 1) : [];
  });
}

/** With what `reached` says in the place of each name. What names a manager that is gone is left out. */
export function resolved(
  options: Options,
  reached: (name: string) => object | undefined,
  depth = 0,
): Options {
  if (depth > DEEPEST) return options;
  return Object.fromEntries(
    Object.entries(options).flatMap(([key, value]): [string, unknown][] => {
      if (isReference(value)) {
        const { manager, ...own } = value;
        const found = reached(manager);
        return found === undefined ? [] : [[key, { ...found, ...own }]];
      }
      return [[key, isRecord(value) ? resolved(value, reached, depth + 1) : value]];
    }),
  );
}
