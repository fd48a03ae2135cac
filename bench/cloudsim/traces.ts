import type { Trace } from './experiment.ts';

/** A trace file that can't be used: which line and column, and what was expected. */
export class TraceError extends Error {
  override readonly name = 'TraceError';
}

const MAX_SAMPLES = 100_000;

/**
 * Reads lines `name,load,load,...`, one guest a line, loads as whole percent (0 to 100), in the file's order made one
 * by name: results depend on it. Throws a TraceError with the place of what is wrong. `file` is for its words.
 */
export function parseTraces(text: string, file: string): Trace[] {
  const traces: Trace[] = [];
  const names = new Set<string>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const where = `${file}:${index + 1}`;
    const [name = '', ...cells] = line.trimEnd().split(',');
    if (name === '') throw new TraceError(`${where}: column 1: expected a guest's name`);
    if (names.has(name)) throw new TraceError(`${where}: column 1: ${name} is there twice`);
    names.add(name);
    const loads = cells.map((cell, column) => loadOf(cell, `${where}: column ${column + 2}`));
    const expected = traces[0]?.loads.length ?? loads.length;
    if (loads.length === 0 || loads.length > MAX_SAMPLES || loads.length !== expected) {
      const wanted = traces.length === 0 ? `1 to ${MAX_SAMPLES}` : `${expected}, as in line 1`;
      throw new TraceError(`${where}: has ${loads.length} samples; expected ${wanted}`);
    }
    traces.push({ name, loads });
  }
  if (traces.length === 0) throw new TraceError(`${file}: has no guest`);
  return traces.toSorted((left, right) =>
    left.name < right.name ? -1 : left.name > right.name ? 1 : 0,
  );
}

function loadOf(cell: string, where: string): number {
  const percent = /^\d{1,3}$/.test(cell) ? Number(cell) : Number.NaN;
  if (percent >= 0 && percent <= 100) return percent / 100;
  throw new TraceError(
    `${where}: expected a whole number from 0 to 100, got '${cell.slice(0, 20)}'`,
  );
}
