import { z } from 'zod';

/** When memory moves: before the switch, after it, or both. */
export const streamMode = z.enum(['precopy', 'postcopy', 'hybrid']);
export type StreamMode = z.infer<typeof streamMode>;

/** `cold`: no memory moves; the guest shuts down and is started at its destination. */
export const mode = z.enum([...streamMode.options, 'cold']);
export type Mode = z.infer<typeof mode>;

export function streamModeOf(asked: Mode): StreamMode {
  return asked === 'cold' ? 'precopy' : asked;
}
