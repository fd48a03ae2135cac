import { z } from 'zod';
import { bytes, guestName, hostName, migrationId, moment, shortText } from '../names.ts';
import { BEGINNING, CHECKED, LOOKING, ORDERED } from '../route-errors.ts';
import { LARGE_BYTES, LIST_BYTES, route } from '../route.ts';
import { check } from './migration.ts';
import { orderQuery } from './order.ts';

export const descriptionNumber = z
  .string()
  .max(16)
  .regex(/^[0-9a-f]{16}$/, 'the number of a description, 16 hexadecimal digits');

/** Another host's guest that this host can start once that host is proved off. */
export const standby = z.object({
  guest: guestName,
  from: hostName,
  memoryBytes: bytes,
  /** Time of its host's last description. */
  keptAt: moment,
  /** Last confirmation by its host; absent: never, or an earlier build. */
  confirmedAt: moment.optional(),
  disks: shortText.optional(),
  /**
   * The reason why the description may be out of date, which blocks a recovery; absent: it is fresh, or an earlier
   * build.
   */
  stale: shortText.optional(),
  /** Identifies this description and its age: `insist` of a recovery. */
  number: descriptionNumber.optional(),
});
export type Standby = z.infer<typeof standby>;

export const MAX_STANDBYS = 4096;
export const MAX_OF_ONE_SOURCE = 1024;
const MAX_OFF = 64;

export const recoveryRequest = z.object({
  guest: guestName,
  from: hostName,
  /** Further silent hosts to be proved off, since the guest could be there. */
  off: z.array(hostName).max(MAX_OFF).default([]),
  /** Starts it although this description may be out of date: an operator has seen its age and disks. */
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
