import { z } from 'zod';
import { hostName } from '../names.ts';
import { LARGE_BYTES, LIST_BYTES, route } from '../route.ts';

const STORING = ['GODWIT_STORE'] as const;

const most = z.number().int().min(0).max(10_000);
const link = z.object({ from: hostName, to: hostName });

/** Unnamed hosts have the defaults. */
export const fleetLimits = z.object({
  fleet: most,
  out: most,
  in: most,
  hosts: z
    .array(z.object({ host: hostName, out: most.optional(), in: most.optional() }))
    .max(10_000),
  links: z.array(link.extend({ most })).max(10_000),
});
export type FleetLimits = z.infer<typeof fleetLimits>;

export const limitsChange = z.strictObject({
  fleet: most.nullable().optional(),
  out: most.nullable().optional(),
  in: most.nullable().optional(),
  hosts: z
    .array(
      z.strictObject({
        host: hostName,
        out: most.nullable().optional(),
        in: most.nullable().optional(),
      }),
    )
    .max(1000)
    .default([]),
  links: z
    .array(z.strictObject({ ...link.shape, most: most.nullable() }))
    .max(1000)
    .default([]),
});
export type LimitsChange = z.infer<typeof limitsChange>;

export const limitRoutes = {
  limits: route({
    method: 'GET',
    path: '/v1/limits',
    summary: 'How many moves may run at a time, in all and out of, into and between hosts',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    response: fleetLimits,
    errors: STORING,
  }),
  setLimits: route({
    method: 'PUT',
    path: '/v1/limits',
    summary: 'Change the limits that are named; moves under way go on',
    access: 'operator',
    answerBytes: LIST_BYTES,
    bodyBytes: LARGE_BYTES,
    body: limitsChange,
    response: fleetLimits,
    errors: [...STORING, 'GODWIT_HOST_UNKNOWN'],
  }),
};
