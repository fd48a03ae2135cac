/** Reads a CSV file with a head, by requested columns. Errors name file, line and column. Pure. */

/** `text`: not empty; `number`: 0 or more; `positive`: more than 0. */
export interface Column {
  readonly name: string;
  readonly kind: 'text' | 'number' | 'positive';
  readonly optional?: boolean;
}

export type Row = Readonly<Record<string, string | number | undefined>>;

export class TableError extends Error {
  override readonly name = 'TableError';
}

const MAX_LINES = 20_000_000;
const SHOWN = 20;

export type Wrong = (column: string, words: string) => TableError;

/** Calls back with each row. Throws a TableError. */
export function readTable(
  text: string,
  file: string,
  columns: readonly Column[],
  row: (values: Row, wrong: Wrong) => void,
): void {
  const lines = linesOf(text);
  const { value: head } = lines.next();
  if (head === undefined || head === '') throw new TableError(`${file}: is empty`);
  const places = placesOf(head.split(','), file, columns);
  let line = 1;
  for (const each of lines) {
    line += 1;
    if (line > MAX_LINES) throw new TableError(`${file}: has more than ${MAX_LINES} lines`);
    if (each === '') continue;
    const cells = each.split(',');
    const where = `${file}:${line}`;
    row(rowOf(cells, places, where), (column, words) => {
      const place = places.find(({ name }) => name === column)?.place ?? 0;
      return new TableError(`${where}: column ${place + 1} (${column}): ${words}`);
    });
  }
}

function* linesOf(text: string): Generator<string, undefined> {
  for (let from = 0; from < text.length;) {
    const end = text.indexOf('\n', from);
    const to = end < 0 ? text.length : end;
    yield text
      .slice(from, to)
      .replace(/\r$/, '')
      .replace(/^\uFEFF/, '');
    from = to + 1;
  }
  return undefined;
}

interface PlacedColumn extends Column {
  readonly place: number;
}

function placesOf(
  head: readonly string[],
  file: string,
  columns: readonly Column[],
): PlacedColumn[] {
  const names = head.map((name) => name.trim());
  return columns.flatMap((column): PlacedColumn[] => {
    const place = names.indexOf(column.name);
    if (place >= 0) return [{ ...column, place }];
    if (column.optional === true) return [];
    const wanted = columns.map(({ name, optional }) => (optional === true ? `[${name}]` : name));
    throw new TableError(
      `${file}:1: has no column ${column.name}; expected ${wanted.join(', ')}, got ${shown(head.join(', '))}`,
    );
  });
}

function rowOf(cells: readonly string[], places: readonly PlacedColumn[], where: string): Row {
  const row: Record<string, string | number | undefined> = {};
  for (const { name, kind, place, optional } of places) {
    const cell = (cells[place] ?? '').trim();
    if (cell === '' && optional === true) continue;
    const value = kind === 'text' ? cell : numberOf(cell);
    if (value !== '' && value !== undefined && !(kind === 'positive' && value === 0)) {
      row[name] = value;
      continue;
    }
    throw new TableError(
      `${where}: column ${place + 1} (${name}): expected ${EXPECTED[kind]}, got '${shown(cell)}'`,
    );
  }
  return row;
}

const EXPECTED: Readonly<Record<Column['kind'], string>> = {
  text: 'a name',
  number: 'a number, 0 or more',
  positive: 'a number above 0',
};

const NUMBER = /^\d{1,18}(\.\d{1,18})?(e[+-]?\d{1,3})?$/i;

function numberOf(cell: string): number | undefined {
  const value = NUMBER.test(cell) ? Number(cell) : Number.NaN;
  return Number.isFinite(value) ? value : undefined;
}

const shown = (text: string): string =>
  text.length > SHOWN * 4 ? `${text.slice(0, SHOWN * 4)}…` : text;
