/** Guests' use from Prometheus's answer to a range query. Pure. */
import { z } from 'zod';
import { mostCoresOf } from '../../processor-use-bounds.ts';
import { TableError } from './table.ts';

/** Labels with a guest's name, by precedence: Godwit's, libvirt exporters', the usual one. */
const NAMING = ['guest', 'domain', 'name'] as const;

const answer = z.object({
  status: z.literal('success', { error: 'expected "success"' }),
  data: z.object({
    resultType: z.literal('matrix', {
      error: 'expected "matrix", which only a range query (query_range) answers with',
    }),
    result: z.array(
      z.object({
        metric: z.record(z.string(), z.string()),
        values: z.array(z.tuple([z.number(), z.string()])),
      }),
    ),
  }),
});

export interface RangeReading {
  readonly coresOf: (name: string) => number | undefined;
  /** `line 3, column 7` of this place in the text. */
  readonly where: (text: string, path: readonly (string | number)[]) => string;
  readonly sample: (guest: string, time: number, cores: number) => void;
}

const MAX_SHOWN = 60;

/** Calls back with each sample. Throws a TableError that names file, line, column and what was expected. */
export function readRange(text: string, file: string, reading: RangeReading): void {
  const wrong = (path: readonly (string | number)[], words: string): TableError =>
    new TableError(
      [file, reading.where(text, path), ...(path.length === 0 ? [] : [path.join('.')]), words].join(
        ': ',
      ),
    );
  const { result } = checked(text, file, wrong).data;
  const seen = new Set<string>();
  for (const [series, { metric, values }] of result.entries()) {
    const path = ['data', 'result', series, 'metric'];
    const label = NAMING.find((each) => metric[each] !== undefined);
    if (label === undefined) {
      throw wrong(path, `expected a label ${NAMING.join(', ')}, got ${shown(metric)}`);
    }
    const guest = metric[label] ?? '';
    const has = reading.coresOf(guest);
    if (has === undefined) {
      throw wrong([...path, label], `expected a guest of guests.csv, got ${shown(guest)}`);
    }
    if (seen.has(guest)) {
      throw wrong([...path, label], `expected one series a guest, got another one of ${guest}`);
    }
    seen.add(guest);
    for (const [nth, [time, value]] of values.entries()) {
      // 0/0: no sample.
      if (value === 'NaN') continue;
      const cores = Number(value);
      if (value.trim() === '' || !Number.isFinite(cores) || cores < 0) {
        const at = ['data', 'result', series, 'values', nth, 1];
        throw wrong(at, `expected a number, 0 or more, got ${shown(value)}`);
      }
      if (cores > mostCoresOf(has)) {
        const at = ['data', 'result', series, 'values', nth, 1];
        throw wrong(at, `${tooMuch(has)}, got ${shown(value)}`);
      }
      reading.sample(guest, time, cores);
    }
  }
}

export const tooMuch = (cores: number): string =>
  `expected at most ${mostCoresOf(cores)} of a guest with ${cores} cores`;

function checked(
  text: string,
  file: string,
  wrong: (path: readonly (string | number)[], words: string) => TableError,
): z.output<typeof answer> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : '';
    throw new TableError(`${file}: expected JSON, the answer of a range query: ${why}`);
  }
  const parsed = answer.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = (issue?.path ?? []).map((key) => (typeof key === 'number' ? key : String(key)));
  const got = shown(path.reduce<unknown>((value, key) => inside(value, key), json));
  const words = (issue?.message ?? '').replace(/^Invalid input: /, '').replace(/, received .*/, '');
  throw wrong(path, `${words}, got ${got}${ownWords(json)}`);
}

const inside = (value: unknown, key: string | number): unknown =>
  typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[String(key)]
    : undefined;

function ownWords(json: unknown): string {
  const error = inside(json, 'error');
  return typeof error === 'string' ? `: ${shown(error)}` : '';
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
