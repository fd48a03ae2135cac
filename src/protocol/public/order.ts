import { z } from 'zod';
import { epoch } from '../names.ts';

export const wishId = z.string().regex(/^w-[0-9a-z]{8,32}$/, 'a wish id: w-...');

/** For which wish a controller asks, and under which acquisition of the claim on it. */
export const order = z.object({ wish: wishId, epoch });
export type Order = z.infer<typeof order>;

/** An order as a request carries it; a controller must, and nobody else does. */
export const orderQuery = {
  wish: wishId.optional(),
  epoch: z
    .string()
    .regex(/^[1-9]\d{0,14}$/, 'an epoch: a whole number from 1')
    .optional(),
};
const asked = z.object(orderQuery);

/** Undefined where the request names none; `incomplete` where it names half of one. */
export function orderOf(query: z.output<typeof asked>): Order | undefined | 'incomplete' {
  if (query.wish === undefined && query.epoch === undefined) return undefined;
  if (query.wish === undefined || query.epoch === undefined) return 'incomplete';
  return { wish: query.wish, epoch: Number(query.epoch) };
}
