/** Bounds, themselves within them. */
export type Target =
  | { readonly atLeast?: number; readonly atMost: number }
  | { readonly atLeast: number };

/** What every benchmark gives, so that one program runs, prints and compares them all. */
export interface Measure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** How many runs the value is of: their median, unless the name says otherwise. */
  readonly runs: number;
  /** The bound that the project holds itself to; absent where the value is only reported. */
  readonly target?: Target;
}

export interface BenchOptions {
  /** Runs of each side; the benchmark's own default when absent. */
  readonly runs: number | undefined;
  readonly signal: AbortSignal;
  /** Words of the command line that only some benchmarks know. */
  readonly words?: BenchWords;
  /** A line for a person who waits; goes to stderr. */
  readonly say: (text: string) => void;
}

export interface BenchWords {
  readonly link?: string | undefined;
  readonly delay?: string | undefined;
  readonly memory?: string | undefined;
  readonly dirty?: string | undefined;
  readonly rewrite?: string | undefined;
  readonly only?: string | undefined;
  readonly size?: string | undefined;
  readonly data?: string | undefined;
  readonly whole?: boolean | undefined;
  readonly points?: string | undefined;
  readonly hosts?: string | undefined;
  readonly controllers?: string | undefined;
  readonly moves?: string | undefined;
  readonly libvirt?: string | undefined;
  readonly seed?: string | undefined;
}

/** What `--only` names, parted by commas; undefined without it. Throws for what there is not: it would measure nothing. */
export function onlyOf({ words }: Pick<BenchOptions, 'words'>, known: readonly string[]) {
  const only = words?.only?.split(',');
  const strange = only?.find((name) => !known.includes(name));
  if (strange === undefined) return only;
  throw new RangeError(`--only ${strange}: there is ${known.join(', ')}`);
}

export interface Bench {
  readonly name: string;
  readonly summary: string;
  run(options: BenchOptions): Promise<Measure[]>;
}

/** A measure as it is printed: `ok` is null where there is no target. */
export interface MeasureVerdict {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly runs: number;
  readonly target: string | null;
  readonly ok: boolean | null;
}

export function judge(measure: Measure): MeasureVerdict {
  const { name, value, unit, runs, target } = measure;
  if (target === undefined) return { name, value, unit, runs, target: null, ok: null };
  const { atLeast, atMost } = { atMost: undefined, ...target };
  const words = [
    ...(atLeast === undefined ? [] : [`>= ${atLeast}`]),
    ...(atMost === undefined ? [] : [`<= ${atMost}`]),
  ];
  // Neither holds for what could not be had, NaN.
  const ok = value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity);
  return { name, value, unit, runs, target: words.join(', '), ok };
}

/** The middle value; the mean of the two middle ones for an even count. Throws for none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('a median of nothing');
  const sorted = values.toSorted((left, right) => left - right);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? 0;
  if (sorted.length % 2 === 1) return upper;
  return ((sorted[sorted.length / 2 - 1] ?? 0) + upper) / 2;
}

/** A table for a terminal: one line a measure. */
export function table(measures: readonly MeasureVerdict[]): string {
  const rows = measures.map(({ name, value, unit, runs, target, ok }) => [
    name,
    `${rounded(value)} ${unit}`,
    String(runs),
    target ?? '-',
    ok === null ? '' : ok ? 'ok' : 'MISSED',
  ]);
  const all = [['measure', 'value', 'runs', 'target', ''], ...rows];
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...all.map((row) => (row[column] ?? '').length)),
  );
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function rounded(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : Number(value.toPrecision(4)).toString();
}
