import { isRecord } from '../../formats/json.ts';
import type { ManagerPlace } from '../../protocol/controller/managers.ts';

/**
 * In the options of a manager, `{ "manager": NAME, ... }` stands for how another manager of this controller is reached: its
 * password is written nowhere a second time. Pure.
 */

type Options = ManagerPlace['options'];
type Reference = Readonly<Record<string, unknown>> & { readonly manager: string };

/** How a manager is reached, and who it is by its certificate. */
const HOW_REACHED: ReadonlySet<string> = new Set([
  'url',
  'user',
  'passwordFile',
  'fingerprint',
  'ca',
]);
/** Of these, files of this host. */
const FILES: ReadonlySet<string> = new Set(['passwordFile', 'ca']);

/** Options are as deep as that at most. */
const DEEPEST = 8;

/** Only one of several places of an option has it (`others.vc2`): elsewhere a host may be called manager. */
function isReference(value: unknown, depth: number): value is Reference {
  return depth === 1 && isRecord(value) && typeof value['manager'] === 'string';
}

/** Managers that they name. */
export function namedIn(options: Options, depth = 0): string[] {
  if (depth > DEEPEST) return [];
  return Object.values(options).flatMap((value) => {
    if (isReference(value, depth)) return [value.manager];
    return isRecord(value) ? namedIn(value, depth + 1) : [];
  });
}

/** The first option that names a file of this host, which whoever adds a manager could send anywhere by that. */
export function fileIn(options: Options, depth = 0): string | undefined {
  if (depth > DEEPEST) return undefined;
  for (const [key, value] of Object.entries(options)) {
    if (FILES.has(key)) return key;
    const found = isRecord(value) ? fileIn(value, depth + 1) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
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
      if (isReference(value, depth)) {
        const { manager, ...own } = value;
        const found = reached(manager);
        // Whoever names a manager says nothing of where its password goes.
        const rest = Object.entries(own).filter(([option]) => !HOW_REACHED.has(option));
        return found === undefined ? [] : [[key, { ...Object.fromEntries(rest), ...found }]];
      }
      return [[key, isRecord(value) ? resolved(value, reached, depth + 1) : value]];
    }),
  );
}
