import { z } from 'zod';
import { bytes, guestName, hostName, shortText } from '../../names.ts';
import { cores, name64 } from './host.ts';

/** Guests that a manager leaves to the caller; further ones are not named. */
const MAX_LEFT = 4096;

/** A manager's maintenance mode: no guest runs or arrives there. */
export const maintenanceMode = z.object({
  /** Who moves the guests away: the manager, when the host enters the mode, or the caller. */
  moves: z.enum(['manager', 'asker']),
  /** The manager's explanation: `DRS of C0`, `DRS of C0 is manual`. */
  words: name64,
  leaves: z.array(guestName).max(MAX_LEFT),
});
export type MaintenanceMode = z.infer<typeof maintenanceMode>;

/** Power control of a host that no guest needs. */
export const powerMode = z.object({
  /** The manager, which also moves guests for it, or the caller. */
  sets: z.enum(['manager', 'asker']),
  /** The manager's explanation: `DPM of C0`, `DPM of C0 is manual`. */
  words: name64,
});
export type PowerMode = z.infer<typeof powerMode>;

export const maintenanceSight = z.object({
  state: z.enum(['out', 'entering', 'in', 'leaving']),
  /** The last attempt failed or was cancelled, in the manager's words. Only with `out`. */
  failed: z.object({ reason: shortText, cancelled: z.boolean() }).optional(),
});
export type MaintenanceSight = z.infer<typeof maintenanceSight>;

/** A manager's host. It has no agent; the manager's agent reports it. */
export const managedHost = z.object({
  name: hostName,
  /** Guests move only within a realm. */
  realm: name64,
  /** `silent`: its manager does not reach it; its guests' state is unknown. */
  state: z.enum(['up', 'silent']),
  reason: shortText.optional(),
  closed: shortText.optional(),
  /** Absent if its manager has no such mode. */
  maintenanceMode: maintenanceMode.optional(),
  /** Absent if its manager controls no host's power. */
  powerMode: powerMode.optional(),
  version: name64.optional(),
  cores: cores.optional(),
  memoryBytes: bytes.optional(),
  memoryAvailableBytes: bytes.optional(),
});
export type ManagedHost = z.infer<typeof managedHost>;
