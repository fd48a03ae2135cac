import { isRecord } from '../../formats/json.ts';
import type { ManagerPlace } from '../../protocol/controller/managers.ts';

/**
 * In a manager's options, `{ "manager": NAME, ... }` stands for another manager's access, so that its password is not
 * stored twice. Pure.
 */

type Options = ManagerPlace['options'];
type Reference = Readonly<Record<string, unknown>> & { readonly manager: string };

/** Options of the access and of the manager's identity. */
const HOW_REACHED: ReadonlySet<string> = new Set([
  'url',
  'user',
  'passwordFile',
  'fingerprint',
  'ca',
]);
const FILES: ReadonlySet<string> = new Set(['passwordFile', 'ca']);

const DEEPEST = 8;

/** Only a value of a group has it (`others.vc2`): elsewhere a host may be called manager. */
function isReference(value: unknown, depth: number): value is Reference {
  return depth === 1 && isRecord(value) && typeof value['manager'] === 'string';
}

export function namedIn(options: Options, depth = 0): string[] {
  if (depth > DEEPEST) return [];
  return Object.values(options).flatMap((value) => {
    if (isReference(value, depth)) return [value.manager];
    return isRecord(value) ? namedIn(value, depth + 1) : [];
  });
}

/** The first option that names a file of this host; it could send any file to the manager. */
export function fileIn(options: Options, depth = 0): string | undefined {
  if (depth > DEEPEST) return undefined;
  for (const [key, value] of Object.entries(options)) {
    if (FILES.has(key)) return key;
    const found = isRecord(value) ? fileIn(value, depth + 1) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Replaces each reference by `reached`, and drops references to removed managers. */
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
        // A reference cannot override where the password is sent.
        const rest = Object.entries(own).filter(([option]) => !HOW_REACHED.has(option));
        return found === undefined ? [] : [[key, { ...Object.fromEntries(rest), ...found }]];
      }
      return [[key, isRecord(value) ? resolved(value, reached, depth + 1) : value]];
    }),
  );
}
