import { MARK } from './terminal-width.ts';

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

/** Terminal and bidirectional controls, except line end and tab. */
const CONTROL = /[^\P{C}\n\t]/gu;

/** `text` without terminal controls: names and messages come from other hosts, and must not move the cursor. */
export function printable(text: string): string {
  return text.replaceAll(CONTROL, '\ufffd').replaceAll('\t', ' ');
}

/** Like printable, but on one line, with the painter's own marks. */
export function printableCell(text: string): string {
  const marks = text.match(MARK) ?? [];
  const clean = text.split(MARK).map((piece) => printable(piece).replaceAll(/\s+/g, ' '));
  return clean.map((piece, index) => piece + (marks[index] ?? '')).join('');
}
