/** Fits tables and views to a terminal: what is cut, omitted or wrapped. Pure. */

const ESCAPE = '\u001b';
/** Only the painter's own marks, so that outside text cannot hide. */
const OWN = `${ESCAPE}\\[(?:1|2|22|31|32|33|36|39)m`;
export const MARK = new RegExp(OWN, 'g');
const MARK_OR_LETTER = new RegExp(`${OWN}|[^]`, 'gu');
const TRAILING_MARKS = new RegExp(`(?:${OWN}){0,16}$`);

const NOTHING = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
/** East Asian wide and full-width letters, and emoji. */
const TWO_COLUMNS =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u4dbf\u4e00-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{1b2ff}\u{20000}-\u{3fffd}])$/u;

/** A command in backticks is one word, so that it can be copied. */
const WORD = /(?:`[^`]*`|[^\s`]|`)+/g;

export const BETWEEN = 2;
/** Minimum width of a column with sentences, or its title. */
const MIN_WORDS = 16;
/** Columns with sentences and lists, the only ones that are cut. */
const WORDS = new Set([
  'ARGUMENTS',
  'BRIDGES',
  'HYPERVISOR',
  'HYPERVISORS',
  'LABELS',
  'NOTE',
  'PROCESSOR',
  'VERDICT',
  'WHAT IT SAW LAST',
  'WHERE IT STANDS',
  'WHY',
]);
/** Columns that a narrow terminal omits, in this order. Subject, place and state of a row stay. */
const MINOR = [
  'MACHINE',
  'CORES',
  'VCPUS',
  'HYPERVISOR',
  'HYPERVISORS',
  'MODE',
  'STARTED',
  'ROUNDS',
  'THROUGHPUT',
  'DOWNTIME',
];

export type Widths = readonly (number | undefined)[];

export function width(text: string): number {
  return Array.from(text.replaceAll(MARK, '')).reduce(
    (sum, letter) => sum + letterWidth(letter),
    0,
  );
}

function letterWidth(letter: string): number {
  if (letter < '\u0300') return 1;
  if (NOTHING.test(letter)) return 0;
  return TWO_COLUMNS.test(letter) ? 2 : 1;
}

/** `text` in at most `columns`, with whole marks; a cut is shown by `…`. */
export function truncate(text: string, columns: number): string {
  if (columns <= 0) return '';
  if (width(text) <= columns) return text;
  let taken = 0;
  let isFull = false;
  let result = '';
  for (const piece of text.match(MARK_OR_LETTER) ?? []) {
    if (piece.length > 2) result += piece;
    else if (!isFull) {
      taken += letterWidth(piece);
      isFull = taken > columns - 1;
      if (!isFull) result += piece;
    }
  }
  const tail = TRAILING_MARKS.exec(result)?.[0] ?? '';
  return `${result.slice(0, result.length - tail.length)}…${tail}`;
}

/**
 * Column widths on a terminal: cuts sentences first, then omits minor columns; other cells stay whole. Undefined
 * without room: the rows are then shown as lines.
 */
export function fitTable(
  head: readonly string[],
  full: readonly number[],
  columns: number,
): Widths | undefined {
  for (let left = 0; left <= MINOR.length; left += 1) {
    const gone = MINOR.slice(0, left);
    const kept = full.map((each, at) => (gone.includes(head[at] ?? '') ? undefined : each));
    const count = kept.filter((each) => each !== undefined).length;
    const over =
      kept.reduce<number>((sum, each) => sum + (each ?? 0), BETWEEN * (count - 1)) - columns;
    const cut = over <= 0 ? kept : cutWords(head, kept, over);
    if (cut !== undefined) return cut;
  }
  return undefined;
}

function cutWords(head: readonly string[], widths: Widths, over: number): Widths | undefined {
  const cut = [...widths];
  for (let left = over; left > 0; left -= 1) {
    const room = cut.map((each = 0, at) => {
      const title = head[at] ?? '';
      return WORDS.has(title) && each > Math.max(MIN_WORDS, title.length) ? each : 0;
    });
    const widest = Math.max(...room);
    if (widest === 0) return undefined;
    cut[room.indexOf(widest)] = widest - 1;
  }
  return cut;
}

/**
 * Breaks lines wider than `columns` between words; continuations of a `name  value` line align with the value. A command
 * in backticks is one word, and an oversized word is left to the terminal.
 */
export function wrap(text: string, columns: number): string {
  return text
    .split('\n')
    .map((line) => (width(line) <= columns ? line : wrapLine(line, columns)))
    .join('\n');
}

function wrapLine(line: string, columns: number): string {
  const indent = /^ */.exec(line)?.[0] ?? '';
  const named = /^ *(?:\S+(?: \S+)* {2,}){0,2}/.exec(line)?.[0] ?? '';
  const isNamed = named.length > indent.length && width(named) <= columns / 2;
  const start = isNamed ? named : indent;
  const hang = ' '.repeat(isNamed ? width(named) : Math.min(indent.length + 2, columns / 2));
  const lines: string[] = [];
  let now = start;
  let isBegun = false;
  for (const word of line.slice(start.length).match(WORD) ?? []) {
    const longer = isBegun ? `${now} ${word}` : now + word;
    if (isBegun && width(longer) > columns) {
      lines.push(now);
      now = hang + word;
    } else now = longer;
    isBegun = true;
  }
  return [...lines, now].join('\n');
}
