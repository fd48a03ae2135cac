import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Trace } from './cloudsim/experiment.ts';
import { parseTraces } from './cloudsim/traces.ts';

const ROOT = path.resolve(import.meta.dirname, '..');
/** Beside the clone, or in it; git ignores it, since it is not the project's to give away. */
const PLACES = ['shared/data', '../shared/data', '../../shared/data'];

/** Where recorded days lie: `given`, else PLANNER_DATA, else beside this clone; undefined where they do not. */
export function dataDirectory(given: string | undefined): string | undefined {
  const named = given ?? process.env['PLANNER_DATA'];
  if (named !== undefined) return path.resolve(named);
  return PLACES.map((place) => path.join(ROOT, place)).find((place) => existsSync(place));
}

/** The days of a directory: every `DAY.csv` and `DAY.csv.gz` in it or in its `planetlab`. */
export function daysOf(directory: string): { readonly day: string; readonly file: string }[] {
  const inner = path.join(directory, 'planetlab');
  const folder = existsSync(inner) ? inner : directory;
  return readdirSync(folder)
    .filter((name) => /\.csv(\.gz)?$/.test(name) && name !== REFERENCE)
    .toSorted()
    .map((name) => ({ day: name.replace(/\.csv(\.gz)?$/, ''), file: path.join(folder, name) }));
}

/** Throws a TraceError that says where the file is wrong. */
export function readDay(file: string): Trace[] {
  const bytes = readFileSync(file);
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
  return parseTraces(text, path.basename(file));
}

const REFERENCE = 'cloudsim-reference.csv';

export interface ReferenceRow {
  readonly day: string;
  /** As `lr_mmt_1.2`. */
  readonly run: string;
  /** As printed: energy, moves, SLAV, PDM, SLATAH, overall and average SLA, shutdowns. */
  readonly digits: string;
}

/** The rows of a CloudSim run that lie beside the days; none where there is no such file. */
export function referenceRows(directory: string): ReferenceRow[] {
  const file = path.join(directory, REFERENCE);
  if (!existsSync(file)) return [];
  const [, ...lines] = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => {
    const [name = '', ...cells] = line.split(',');
    const [, day = '', run = ''] = /^(\d+)_(.*)$/.exec(name) ?? [];
    return { day, run, digits: cells.slice(0, 8).join(',') };
  });
}
