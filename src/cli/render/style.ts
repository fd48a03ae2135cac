/** Marks up text for a terminal, or leaves it as it is. */
export interface Painter {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

export function painter(enabled: boolean): Painter {
  const mark =
    (on: number, off: number) =>
    (text: string): string =>
      enabled && text !== '' ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  return {
    bold: mark(1, 22),
    dim: mark(2, 22),
    red: mark(31, 39),
    green: mark(32, 39),
    yellow: mark(33, 39),
    cyan: mark(36, 39),
  };
}

const ESCAPE = '\u001b';
/** The painter's own marks and no others: text from outside cannot hide itself. */
const OWN = `${ESCAPE}\\[(?:1|2|22|31|32|33|36|39)m`;
const MARK = new RegExp(OWN, 'g');
const MARK_OR_LETTER = new RegExp(`${OWN}|[^]`, 'gu');
const TRAILING_MARKS = new RegExp(`(?:${OWN})*$`);

/** Controls that a terminal would act on or that turn text around, but not the line end and the tab. */
const CONTROL = /[^\P{C}\n\t]/gu;

/** Columns that `text` takes, its marks not counted. */
export function width(text: string): number {
  return Array.from(text.replaceAll(MARK, '')).length;
}

/**
 * `text` without what a terminal would act on: names and messages come from other hosts, and a
 * guest's name must not be able to move the cursor.
 */
export function printable(text: string): string {
  return text.replaceAll(CONTROL, '\ufffd').replaceAll('\t', ' ');
}

/** As printable, but the painter's own marks stay, and all is on one line. */
export function printableCell(text: string): string {
  const marks = text.match(MARK) ?? [];
  const clean = text.split(MARK).map((piece) => printable(piece).replaceAll(/\s+/g, ' '));
  return clean.map((piece, index) => piece + (marks[index] ?? '')).join('');
}

/** `text` in at most `columns` columns, its marks kept whole; what is cut is shown by `…`. */
export function truncate(text: string, columns: number): string {
  if (columns <= 0) return '';
  if (width(text) <= columns) return text;
  let taken = 0;
  let result = '';
  for (const piece of text.match(MARK_OR_LETTER) ?? []) {
    // Marks behind the cut are kept: they switch off what is on.
    if (piece.length > 2) result += piece;
    else if (taken < columns - 1) {
      result += piece;
      taken += 1;
    }
  }
  const tail = TRAILING_MARKS.exec(result)?.[0] ?? '';
  return `${result.slice(0, result.length - tail.length)}…${tail}`;
}
