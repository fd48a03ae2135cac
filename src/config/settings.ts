import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as jsonc from 'jsonc-parser';
import type { Node, ParseError } from 'jsonc-parser';
import type { z } from 'zod';
import { godwitError } from '../errors.ts';
import { nearest } from '../protocol/nearest.ts';

/** Parses users' JSON files; errors name line and column. */

const MAX_PROBLEMS = 8;
const MAX_SHOWN = 60;

type Key = string | number;

export interface SettingsText {
  readonly file: string;
  readonly text: string;
}

/** GODWIT_CONFIG if it cannot be read. */
export function readSettings(file: string): SettingsText {
  try {
    return { file, text: readFileSync(file, 'utf8') };
  } catch (cause) {
    throw godwitError('GODWIT_CONFIG', { file, what: 'cannot be read' }, { cause });
  }
}

/**
 * A file's JSON. GODWIT_CONFIG with the place of the first error, including duplicate names, of which JSON would
 * silently use the last.
 */
export function readJson({ file, text }: SettingsText): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw godwitError('GODWIT_CONFIG', { file, what: notJson(text) }, { cause });
  }
  if (colonsIn(text) === namesOf(value)) return value;
  throw godwitError('GODWIT_CONFIG', { file, what: repeatedIn(text) });
}

/** Outside of strings: one per written name. */
function colonsIn(text: string): number {
  return text.replaceAll(/"(?:[^"\\]|\\[^])*"?/g, '').split(':').length - 1;
}

function namesOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce<number>((sum, each) => sum + namesOf(each), own);
}

/** One line per repeated name in an object. */
function repeatedIn(text: string): string {
  const lines: string[] = [];
  const look = (node: Node, path: readonly Key[]): void => {
    const seen = new Set<string>();
    for (const [index, child] of (node.children ?? []).entries()) {
      const [name, value] = node.type === 'object' ? (child.children ?? []) : [undefined, child];
      const key: Key = name === undefined ? index : String(name.value);
      const whole = [...path, key];
      if (name !== undefined && seen.has(name.value as string))
        lines.push(`${placeOf(text, name.offset)}: \`${nameOf(whole)}\` is there twice`);
      seen.add(String(key));
      if (value !== undefined) look(value, whole);
    }
  };
  const tree = treeOf(text);
  if (tree !== undefined) look(tree, []);
  return shortened(lines);
}

function shortened(lines: readonly string[]): string {
  const more = lines.length - MAX_PROBLEMS;
  return [...lines.slice(0, MAX_PROBLEMS), ...(more > 0 ? [`and ${more} more`] : [])].join('\n');
}

export function checkedSettings<S extends z.ZodType>(
  settings: SettingsText,
  schema: S,
  value: unknown = readJson(settings),
): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const what = problemsOf(settings, schema, parsed.error);
  throw godwitError('GODWIT_CONFIG', { file: settings.file, what }, { cause: parsed.error });
}

/**
 * A schema's errors, one per line: place in the file, setting, expectation and the nearest known setting. `below`: path
 * of the checked value in the file.
 */
export function problemsOf(
  { text }: Pick<SettingsText, 'text'>,
  schema: z.ZodType,
  error: z.ZodError,
  below: readonly string[] = [],
): string {
  const tree = treeOf(text);
  const problems = error.issues
    .flatMap((issue) => problemsAt(issue, schema, below, tree))
    .toSorted((one, other) => one.offset - other.offset)
    .map(({ offset, words }) =>
      tree === undefined ? words : `${placeOf(text, offset)}: ${words}`,
    );
  return shortened(problems);
}

/** `line 3, column 7` of a setting, or its nearest existing parent. */
export function placeOfSetting(text: string, path: readonly Key[]): string {
  return placeOf(text, offsetOf(treeOf(text), path, 'value'));
}

interface Problem {
  readonly offset: number;
  readonly words: string;
}

function problemsAt(
  issue: z.core.$ZodIssue,
  schema: z.ZodType,
  below: readonly string[],
  tree: Node | undefined,
): Problem[] {
  const path = issue.path.map((key) => (typeof key === 'number' ? key : String(key)));
  const whole = [...below, ...path];
  const unknown = (keys: readonly string[]): Problem[] =>
    keys.map((key) => ({
      offset: offsetOf(tree, [...whole, key], 'name'),
      words: `\`${nameOf([...whole, key])}\` is no setting${nearTo(key, keysAt(schema, path))}`,
    }));
  if (issue.code === 'unrecognized_keys') return unknown(issue.keys);
  const name = whole.length === 0 ? '' : `\`${nameOf(whole)}\`: `;
  const words = `${name}${messageOf(issue)}${shownValue(tree, whole)}`;
  const itself = { offset: offsetOf(tree, whole, 'value'), words };
  if (issue.code !== 'invalid_union') return [itself];
  const known = new Set(keysAt(schema, path));
  return [itself, ...unknown(namesIn(tree, whole).filter((key) => !known.has(key)))];
}

function nearTo(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  return near === undefined ? '' : `; did you mean \`${near}\`?`;
}

function messageOf({ message }: z.core.$ZodIssue): string {
  return message.replace(/^Invalid input: /, '').replace(/, received \w+$/, '');
}

/** Offset of a setting, or of its nearest existing parent. */
function offsetOf(tree: Node | undefined, path: readonly Key[], part: 'name' | 'value'): number {
  for (let length = path.length; tree !== undefined && length >= 0; length -= 1) {
    const node = nodeAt(tree, path.slice(0, length));
    if (node === undefined) continue;
    const named = part === 'name' && length === path.length ? node.parent?.children?.[0] : node;
    return (named ?? node).offset;
  }
  return 0;
}

function namesIn(tree: Node | undefined, path: readonly Key[]): string[] {
  const node = tree === undefined ? undefined : nodeAt(tree, path);
  if (node?.type !== 'object') return [];
  return (node.children ?? []).map(({ children }) => String(children?.[0]?.value));
}

function shownValue(tree: Node | undefined, path: readonly Key[]): string {
  const node = tree === undefined ? undefined : nodeAt(tree, path);
  if (node === undefined) return ', but it is not there';
  if (node.type === 'object' || node.type === 'array') return `, got an ${node.type}`;
  const json = JSON.stringify(node.value);
  // A text with an @ may contain a password.
  if (json.includes('@')) return '';
  return `, got ${json.length > MAX_SHOWN ? `${json.slice(0, MAX_SHOWN)}…` : json}`;
}

const nameOf = (path: readonly Key[]): string => path.join('.');

function placeOf(text: string, offset: number): string {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return `line ${line}, column ${offset - before.lastIndexOf('\n')}`;
}

function notJson(text: string): string {
  const errors: ParseError[] = [];
  parser().parseTree(text, errors, { disallowComments: true, allowTrailingComma: false });
  const [first] = errors;
  if (first === undefined) return 'is not JSON';
  const name = parser().printParseErrorCode(first.error);
  const words = name.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return `is not JSON: ${placeOf(text, first.offset)}: ${words.toLowerCase()}`;
}

/** Settings of a schema at a path; empty if any name is allowed. */
export function keysAt(schema: z.ZodType, path: readonly Key[]): string[] {
  let at: z.core.$ZodType[] = [schema];
  for (const key of path) at = at.flatMap((each) => insideOf(each, key));
  const known = at.flatMap((each) => bare(each)).flatMap((each) => Object.keys(shapeOf(each)));
  return [...new Set(known)];
}

function insideOf(schema: z.core.$ZodType, key: Key): z.core.$ZodType[] {
  return bare(schema).flatMap((each) => {
    const { def } = (each as z.core.$ZodTypes)._zod;
    if (def.type === 'array') return [def.element];
    if (def.type === 'record') return [def.valueType];
    const inner = shapeOf(each)[String(key)];
    return inner === undefined ? [] : [inner];
  });
}

const shapeOf = (schema: z.core.$ZodType): Readonly<Record<string, z.core.$ZodType>> => {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  return def.type === 'object' ? def.shape : {};
};

function bare(schema: z.core.$ZodType): z.core.$ZodType[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'default':
    case 'prefault':
    case 'optional':
    case 'nullable':
      return bare(def.innerType);
    case 'union':
      return def.options.flatMap((each) => bare(each));
    default:
      return [schema];
  }
}

function treeOf(text: string): Node | undefined {
  return parser().parseTree(text);
}

function nodeAt(tree: Node, path: readonly Key[]): Node | undefined {
  return parser().findNodeAtLocation(tree, [...path]);
}

function parser(): typeof jsonc {
  return createRequire(import.meta.url)('jsonc-parser') as typeof jsonc;
}
