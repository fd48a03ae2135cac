import { z } from 'zod';
import { epoch } from '../names.ts';

export const requestId = z.string().regex(/^[rw]-[0-9a-z]{8,32}$/, 'the id of a request: r-...');

/** For which request a controller asks, and under which acquisition of the claim on it. */
export const order = z.object({ request: requestId, epoch });
export type Order = z.infer<typeof order>;

/** An order as a request carries it; a controller must, and nobody else does. */
export const orderQuery = {
  order: requestId.optional(),
  epoch: z
    .string()
    .regex(/^[1-9]\d{0,14}$/, 'an epoch: a whole number from 1')
    .optional(),
};
const asked = z.object(orderQuery);

/** Undefined where the request names none; `incomplete` where it names half of one. */
export function orderOf(query: z.output<typeof asked>): Order | undefined | 'incomplete' {
  if (query.order === undefined && query.epoch === undefined) return undefined;
  if (query.order === undefined || query.epoch === undefined) return 'incomplete';
  return { request: query.order, epoch: Number(query.epoch) };
}
