import { BETWEEN, fitTable, truncate, width, wrap } from './terminal-width.ts';
import { printableCell, type Painter } from './style.ts';

export interface Look {
  readonly columns: number;
  readonly isTerminal: boolean;
  readonly paint: Painter;
  readonly isHeadless?: boolean;
  /** Nothing is cut or omitted, and lists have further columns. */
  readonly isWide?: boolean;
}

/**
 * A table with aligned columns. On a terminal terminal-width.ts decides its form; without room, each row becomes lines
 * of `title  value`.
 */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  look: Look,
): string {
  const { paint, columns } = look;
  const clean = rows.map((row) => row.map(printableCell));
  const full = head.map((title, at) =>
    Math.max(title.length, ...clean.map((row) => width(row[at] ?? ''))),
  );
  const isCut = look.isTerminal && look.isWide !== true;
  const widths = isCut ? fitTable(head, full, columns) : full;
  if (widths === undefined) return renderRecords(head, clean, look);
  const heads = look.isHeadless === true ? [] : [head.map((title) => paint.dim(title))];
  const lines = [...heads, ...clean].map((row) =>
    row
      .flatMap((cell, at) => {
        const most = widths[at];
        if (most === undefined) return [];
        const cut = truncate(cell, most);
        return [cut + pad(cut, most)];
      })
      .join(' '.repeat(BETWEEN))
      .trimEnd(),
  );
  const left = head.filter((_, at) => widths[at] === undefined);
  const note = `not shown, for want of room: ${left.join(', ').toLowerCase()}`;
  if (left.length > 0) lines.push(wrap(paint.dim(note), columns));
  return `${lines.join('\n')}\n`;
}

function renderRecords(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { paint, columns }: Look,
): string {
  const records = rows.map((row) =>
    renderPairs(
      head.map((title, at) => [title, row[at] ?? '']),
      paint,
    ),
  );
  return wrap(records.join('\n'), columns);
}

/** `name  value` lines, the values aligned. */
export function renderPairs(pairs: readonly (readonly [string, string])[], paint: Painter): string {
  const widest = Math.max(0, ...pairs.map(([name]) => name.length));
  return pairs
    .map(([name, value]) => `${paint.dim(name.padEnd(widest))}  ${printableCell(value)}\n`)
    .join('');
}

function pad(cell: string, columns: number): string {
  return ' '.repeat(Math.max(0, columns - width(cell)));
}
