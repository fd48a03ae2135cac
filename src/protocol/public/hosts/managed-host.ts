import { z } from 'zod';
import { bytes, guestName, hostName, shortText } from '../../names.ts';
import { cores, name64 } from './host.ts';

/** Guests that a manager leaves to whoever asked; more of one host are not named. */
const MAX_LEFT = 4096;

/** How a manager takes a host out of use: in maintenance mode no guest runs there, and none comes. */
export const maintenanceMode = z.object({
  /** Who moves the guests away: the manager by itself, as soon as the host is to enter the mode; or whoever asked for it. */
  moves: z.enum(['manager', 'asker']),
  /** Who that is, or why it is nobody, in the manager's own words: `DRS of C0`, `DRS of C0 is manual`. */
  words: name64,
  /** Where the manager moves them: guests that it does not, by names. */
  leaves: z.array(guestName).max(MAX_LEFT),
});
export type MaintenanceMode = z.infer<typeof maintenanceMode>;

/** Who puts a host to sleep while no guest needs it, and wakes it. */
export const powerMode = z.object({
  /** The manager by itself, and it moves guests for that; or whoever asks for it. */
  sets: z.enum(['manager', 'asker']),
  /** Who that is, or why it is nobody, in the manager's own words: `DPM of C0`, `DPM of C0 is manual`. */
  words: name64,
});
export type PowerMode = z.infer<typeof powerMode>;

/** How a host stands with its maintenance mode. */
export const maintenanceSight = z.object({
  state: z.enum(['out', 'entering', 'in', 'leaving']),
  /** Its last attempt to enter failed, or somebody cancelled it; in the manager's words. Only with `out`. */
  failed: z.object({ reason: shortText, cancelled: z.boolean() }).optional(),
});
export type MaintenanceSight = z.infer<typeof maintenanceSight>;

/** A host of a manager. It has no agent of its own: whoever speaks to the manager speaks for it. */
export const managedHost = z.object({
  name: hostName,
  /** Guests move between hosts of one realm alone. */
  realm: name64,
  /** `silent`: its manager does not reach it; nothing is guessed of its guests. */
  state: z.enum(['up', 'silent']),
  reason: shortText.optional(),
  /** Why no guest may come there now, as its manager says. */
  closed: shortText.optional(),
  /** Absent where its manager has no such mode for it. */
  maintenanceMode: maintenanceMode.optional(),
  /** Absent where its manager sets the power of no host. */
  powerMode: powerMode.optional(),
  version: name64.optional(),
  cores: cores.optional(),
  memoryBytes: bytes.optional(),
  memoryAvailableBytes: bytes.optional(),
});
export type ManagedHost = z.infer<typeof managedHost>;
