import { z } from 'zod';
import { guestName } from './names.ts';
import { LOOKING } from './route-errors.ts';
import { LARGE_BYTES, route } from './route.ts';

/** Labels of a guest: short names with short values, kept by its host and moved with it. */

export const MAX_LABELS = 64;
const MAX_VALUE = 256;

const labelName = z
  .string()
  .max(128)
  .regex(
    /^([a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?\/)?[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    'a label: a name of letters, digits, . _ -, with a prefix like "team/" or without',
  );
const labelValue = z
  .string()
  .regex(/^[^\p{Cc}]{0,256}$/u, `a label's value: up to ${MAX_VALUE} characters of one line`);

export const labels = z
  .record(labelName, labelValue)
  .refine((all) => Object.keys(all).length <= MAX_LABELS, `more than ${MAX_LABELS} labels`);
export type GuestLabels = z.infer<typeof labels>;

/** Filter of a list: a label, optionally with a value (`NAME=VALUE`). */
export const labelFilter = z
  .string()
  .max(400)
  .regex(
    /^([a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?\/)?[A-Za-z0-9][A-Za-z0-9._-]{0,62}(=[^\p{Cc}]{0,256})?$/u,
    'a label, or NAME=VALUE',
  );

const labelsChange = z.strictObject({
  set: labels.default({}),
  remove: z.array(labelName).max(MAX_LABELS).default([]),
});
export type LabelsChange = z.infer<typeof labelsChange>;

export function hasLabel(all: GuestLabels | undefined, filter: string): boolean {
  const at = filter.indexOf('=');
  const name = at < 0 ? filter : filter.slice(0, at);
  if (all === undefined || !Object.hasOwn(all, name)) return false;
  return at < 0 || all[name] === filter.slice(at + 1);
}

export const labelRoutes = {
  labelGuest: route({
    method: 'PUT',
    path: '/v1/guests/:guest/labels',
    summary: 'Give a guest labels and take some away; it keeps them when it moves',
    access: 'orders',
    answerBytes: LARGE_BYTES,
    params: z.object({ guest: guestName }),
    body: labelsChange,
    response: z.object({ labels }),
    errors: [...LOOKING, 'GODWIT_GUEST_UNKNOWN', 'GODWIT_USAGE', 'GODWIT_LABELS_FULL'],
  }),
};
