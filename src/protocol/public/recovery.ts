import { z } from 'zod';
import { bytes, guestName, hostName, migrationId, moment, shortText } from '../names.ts';
import { BEGINNING, CHECKED, LOOKING, ORDERED } from '../route-errors.ts';
import { LARGE_BYTES, LIST_BYTES, route } from '../route.ts';
import { check } from './migration.ts';
import { orderQuery } from './order.ts';

/** Names a description as an operator was shown it. */
export const descriptionNumber = z
  .string()
  .max(16)
  .regex(/^[0-9a-f]{16}$/, 'the number of a description, 16 hexadecimal digits');

/** A guest of another host that this host can start once that host is dead and proved off. */
export const standby = z.object({
  guest: guestName,
  from: hostName,
  memoryBytes: bytes,
  /** When its host described it last. */
  keptAt: moment,
  /** When its host last confirmed that the description is right; absent: never, or an earlier build. */
  confirmedAt: moment.optional(),
  /** The images that it would open, each on its backing files. */
  disks: shortText.optional(),
  /** Why the description may be out of date, so that a recovery is refused; absent: it is fresh, or an earlier build. */
  stale: shortText.optional(),
  /** Names this description and its age: `insist` of a recovery. */
  number: descriptionNumber.optional(),
});
export type Standby = z.infer<typeof standby>;

export const MAX_STANDBYS = 4096;
/** Guests of one host. */
export const MAX_OF_ONE_SOURCE = 1024;
/** Other hosts of one recovery that are dead as well. */
const MAX_OFF = 64;

export const recoveryRequest = z.object({
  guest: guestName,
  /** The host on which it ran. */
  from: hostName,
  /** Further hosts that do not answer: they are to be proved off, too, since the guest could be there. */
  off: z.array(hostName).max(MAX_OFF).default([]),
  /** Start it although the description of this number may be out of date: an operator has seen its age and its disks. */
  insist: descriptionNumber.optional(),
});
export type RecoveryRequest = z.infer<typeof recoveryRequest>;

export const recoveryRoutes = {
  putStandby: route({
    method: 'PUT',
    path: '/v1/guests/:guest/standby',
    summary:
      'Have another host keep what starts a guest of this host there, after every check of a cold move to it; its disks must be shared',
    access: 'orders',
    answerBytes: LARGE_BYTES,
    params: z.object({ guest: guestName }),
    body: z.object({ to: hostName }),
    response: z.object({ guest: guestName, to: hostName, checks: z.array(check).max(256) }),
    errors: [...BEGINNING, ...CHECKED],
  }),
  standbys: route({
    method: 'GET',
    path: '/v1/standbys',
    summary:
      'Guests of other hosts that this host can start once their host is dead and proved off',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    response: z.object({ standbys: z.array(standby).max(MAX_STANDBYS) }),
    errors: LOOKING,
  }),
  putRecovery: route({
    method: 'PUT',
    path: '/v1/recoveries/:id',
    summary:
      'Start a guest here whose host is dead: only once this host has proved that one off and no other host has the guest; asked again it answers the same',
    access: 'orders',
    params: z.object({ id: migrationId }),
    query: z.object(orderQuery),
    body: recoveryRequest,
    response: z.object({ id: migrationId, started: z.boolean() }),
    errors: [
      ...BEGINNING,
      ...CHECKED,
      ...ORDERED,
      'GODWIT_STANDBY_NONE',
      'GODWIT_STANDBY_STALE',
      'GODWIT_RECOVERY_UNPROVED',
    ],
  }),
};
