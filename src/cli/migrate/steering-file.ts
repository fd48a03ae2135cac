import { closeSync, openSync, readSync } from 'node:fs';
import { z } from 'zod';
import { godwitError } from '../../errors.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import {
  steeringStrategy,
  type SteeringMeasure,
  type SteeringStrategy,
} from '../../protocol/public/steering.ts';

const MAX_BYTES = 64 * 1024;
const FIELDS = Object.keys(steeringStrategy.shape);

const isRising = (list: readonly number[]): boolean =>
  list.every((each, index) => index === 0 || each > (list[index - 1] ?? 0));
/** Stricter than the schema, to catch likely mistakes. */
const { measures, downtimeShares, throttlePercents } = steeringStrategy.shape;
const meantFields = steeringStrategy.extend({
  measures: measures.refine((list) => new Set(list).size === list.length, 'each measure once'),
  downtimeShares: downtimeShares.refine(
    (list) => isRising(list) && list.at(-1) === 1,
    'rising, and 1 at the end',
  ),
  throttlePercents: throttlePercents.refine(isRising, 'rising'),
});
/** Steps without their measure, and a throttle without steps, would have no effect. */
const meantStrategy = meantFields.superRefine((asked, context) => {
  const { measures: taken, throttlePercents: percents, downtimeShares: shares } = asked;
  const without = (field: keyof SteeringStrategy, measure: SteeringMeasure): void =>
    context.addIssue({
      code: 'custom',
      path: [field],
      message: `without the measure "${measure}"`,
    });
  if (taken.includes('throttle') && percents.length === 0)
    context.addIssue({
      code: 'custom',
      path: ['measures'],
      message: '"throttle" needs throttlePercents',
    });
  if (!taken.includes('throttle') && percents.length > 0) without('throttlePercents', 'throttle');
  if (!taken.includes('downtime') && shares.length > 1) without('downtimeShares', 'downtime');
  if (taken.includes('postcopy')) return;
  if (asked.precopyRounds !== undefined) without('precopyRounds', 'postcopy');
  if (asked.postcopyWithinMs !== undefined) without('postcopyWithinMs', 'postcopy');
  if (asked.postcopyIfCheaper !== undefined) without('postcopyIfCheaper', 'postcopy');
});

/** GODWIT_USAGE names the file, the line and the fault. */
export function readStrategyFile(file: string): SteeringStrategy {
  let text: string;
  try {
    text = readBounded(file);
  } catch (error) {
    throw unreadable(file, error);
  }
  return parseStrategy(text, file);
}

function unreadable(file: string, error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException;
  const isAbsent = code === 'ENOENT' || code === 'ENOTDIR';
  const why = error instanceof Error ? error.message : String(error);
  const what = `--steering-file ${file.slice(0, 200)}: ${isAbsent ? 'no such file' : why}`;
  const hint = 'Name a file of JSON that holds a strategy, such as that in docs/steering.md.';
  return godwitError('GODWIT_USAGE', { what }, { hint, cause: error });
}

function readBounded(file: string): string {
  const descriptor = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(MAX_BYTES + 1);
    const bytes = readSync(descriptor, buffer, 0, buffer.length, 0);
    if (bytes > MAX_BYTES) throw new RangeError(`it has more than ${MAX_BYTES} bytes`);
    return buffer.toString('utf8', 0, bytes);
  } finally {
    closeSync(descriptor);
  }
}

export function parseStrategy(text: string, file: string): SteeringStrategy {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw refused(file, `it is no JSON: ${why.slice(0, 200)}`, error);
  }
  if (asksForDirtyLimit(value)) {
    const what = `${whereIs(text, 'measures')}measures: Godwit does not use "dirty-limit" of QEMU`;
    throw refused(file, what, undefined, 'Use the measure "throttle".');
  }
  const parsed = meantStrategy.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue === undefined) throw refused(file, 'it is not a strategy', parsed.error);
  if (issue.code === 'unrecognized_keys') {
    const [field = ''] = issue.keys;
    const what = `${whereIs(text, field)}unknown field "${field.slice(0, 80)}"`;
    throw refused(file, what, parsed.error, didYouMean(field, FIELDS));
  }
  const field = String(issue.path[0] ?? '');
  const isMissing = issue.path.length === 1 && isWithout(value, field);
  const why = isMissing ? ' is missing' : `: ${issue.message.replace(/^Invalid input: /, '')}`;
  throw refused(file, `${whereIs(text, field)}${field || 'the file'}${why}`, parsed.error);
}

const isWithout = (value: unknown, field: string): boolean =>
  typeof value === 'object' && value !== null && !Object.hasOwn(value, field);

/** Likely from users of QEMU; decision 0024 explains why it is missing. */
function asksForDirtyLimit(value: unknown): boolean {
  const asked = z.object({ measures: z.array(z.unknown()) }).safeParse(value);
  return asked.success && asked.data.measures.includes('dirty-limit');
}

function refused(file: string, what: string, cause: unknown, near?: string): Error {
  const known = `The fields are ${FIELDS.join(', ')}.`;
  const hint = near === undefined ? known : `${near} ${known}`;
  return godwitError(
    'GODWIT_USAGE',
    { what: `--steering-file ${file.slice(0, 200)}: ${what}` },
    { hint, cause },
  );
}

/** `line 3: ` of a field of the object itself, not of equal text elsewhere; empty if the field is missing. */
function whereIs(text: string, field: string): string {
  const name = JSON.stringify(field);
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\[^])*"?|[{}[\]]/g)) {
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') depth -= 1;
    else if (depth === 1 && token === name && /^\s*:/.test(text.slice(index + token.length)))
      return `line ${lineAt(text, index)}: `;
  }
  return '';
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
