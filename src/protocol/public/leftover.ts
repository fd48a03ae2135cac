import { z } from 'zod';
import { shortText } from '../names.ts';
import { LOOKING } from '../route-errors.ts';
import { LIST_BYTES, route } from '../route.ts';

export const leftover = z.object({
  kind: z.enum([
    /** The directory of a migration that had not begun. */
    'migration-directory',
    /** An open migration without a mover. */
    'migration-unfinished',
    /** A hypervisor that waits for memory that will not come. */
    'hypervisor',
    'tap',
    'guest-directory',
    'socket',
    'tls-files',
    'temporary-file',
  ]),
  /** A path, a tap's name, or `process PID`. */
  what: shortText,
  guest: z.string().max(128).optional(),
  migration: z.string().max(128).optional(),
  /** Nothing that runs can need it. */
  safe: z.boolean(),
  why: shortText,
});
export type Leftover = z.infer<typeof leftover>;

const leftoverList = z.object({ leftovers: z.array(leftover).max(10_000) });

export const clearedList = z.object({
  cleared: z.array(leftover).max(10_000),
  left: z.array(leftover.extend({ failed: shortText.optional() })).max(10_000),
});
export type ClearedList = z.infer<typeof clearedList>;

export const leftoverRoutes = {
  leftovers: route({
    method: 'GET',
    path: '/v1/leftovers',
    summary: 'What earlier crashes have left on this host',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    response: leftoverList,
    errors: LOOKING,
  }),
  clearLeftovers: route({
    method: 'POST',
    path: '/v1/leftovers/clear',
    summary: 'Clear what is safe to clear, and say what was left',
    access: 'operator',
    answerBytes: LIST_BYTES,
    response: clearedList,
    replacedBy: 'deleteLeftovers',
    errors: LOOKING,
  }),
  deleteLeftovers: route({
    method: 'DELETE',
    path: '/v1/leftovers',
    summary: 'Clear what is safe to clear, and say what was left',
    access: 'operator',
    answerBytes: LIST_BYTES,
    query: z.object({ dryRun: z.enum(['true', 'false']).default('false') }),
    response: clearedList,
    errors: LOOKING,
  }),
};
