import { z } from 'zod';

/** How memory moves: before the switch, after it, or first one and then the other. */
export const streamMode = z.enum(['precopy', 'postcopy', 'hybrid']);
export type StreamMode = z.infer<typeof streamMode>;

/** `cold`: no memory moves; the guest shuts itself down, and is started at its destination. */
export const mode = z.enum([...streamMode.options, 'cold']);
export type Mode = z.infer<typeof mode>;

/** How both ends set the stream; a cold move sends nothing over it. */
export function streamModeOf(asked: Mode): StreamMode {
  return asked === 'cold' ? 'precopy' : asked;
}
