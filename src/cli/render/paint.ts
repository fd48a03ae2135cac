import { usesColor, type Context } from '../context.ts';
import { wrap } from '../../words/terminal-width.ts';
import { painter, type Painter } from '../../words/style.ts';
import type { Look } from '../../words/table.ts';

export function contextPainter(context: Context): Painter {
  return painter(usesColor(context, context.out));
}

/** Prints for people: wraps long lines between words, on terminals only. */
export function printView({ out }: Context, text: string): void {
  out.write(out.isTerminal ? wrap(text, out.columns()) : text);
}

export function tableLook(context: Context): Look {
  const { out } = context;
  return { columns: out.columns(), isTerminal: out.isTerminal, paint: contextPainter(context) };
}
