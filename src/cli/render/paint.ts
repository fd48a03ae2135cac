import { usesColor } from '../context.ts';
import type { Context } from '../context.ts';
import { painter } from './style.ts';
import type { Painter } from './style.ts';
import type { Look } from './table.ts';

/** The painter for standard output. */
export function contextPainter(context: Context): Painter {
  return painter(usesColor(context, context.out));
}

/** How tables are drawn on standard output. */
export function tableLook(context: Context): Look {
  const { out } = context;
  return { columns: out.columns(), isTerminal: out.isTerminal, paint: contextPainter(context) };
}
