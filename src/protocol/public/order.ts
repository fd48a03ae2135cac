import { z } from 'zod';
import { epoch } from '../names.ts';

export const requestId = z.string().regex(/^[rw]-[0-9a-z]{8,32}$/, 'the id of a request: r-...');

export const order = z.object({ request: requestId, epoch });
export type Order = z.infer<typeof order>;

/** Only controllers must and may send it. */
export const orderQuery = {
  order: requestId.optional(),
  epoch: z
    .string()
    .regex(/^[1-9]\d{0,14}$/, 'an epoch: a whole number from 1')
    .optional(),
};
const asked = z.object(orderQuery);

/** Undefined without a request; `incomplete` with half of an order. */
export function orderOf(query: z.output<typeof asked>): Order | undefined | 'incomplete' {
  if (query.order === undefined && query.epoch === undefined) return undefined;
  if (query.order === undefined || query.epoch === undefined) return 'incomplete';
  return { request: query.order, epoch: Number(query.epoch) };
}
