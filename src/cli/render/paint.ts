import { usesColor } from '../context.ts';
import type { Context } from '../context.ts';
import { painter } from './style.ts';
import type { Painter } from './style.ts';

/** The painter for standard output. */
export function contextPainter(context: Context): Painter {
  return painter(usesColor(context, context.out));
}
