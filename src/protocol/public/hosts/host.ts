import { z } from 'zod';
import { hostHealth } from './health.ts';
import { labels } from '../../labels.ts';
import {
  address,
  bytes,
  epoch,
  guestName,
  hostName,
  migrationId,
  shortText,
  siteName,
} from '../../names.ts';

export const name64 = z.string().max(128);
/** Bounded: a database keeps it in 32 bits. */
export const cores = z.number().int().nonnegative().max(1_000_000);

/** Which side of a migration runs the guest, as far as who says it knows. */
export const runsAt = z.enum(['source', 'destination', 'unknown', 'nowhere']);

/** A hypervisor program on a host. */
export const hypervisorInfo = z.object({
  driver: name64,
  binary: shortText,
  version: name64,
  /** Versioned machine types it can make, e.g. pc-q35-7.2. */
  machineTypes: z.array(name64).max(512),
  accelerators: z.array(name64).max(8),
});
export type HypervisorInfo = z.infer<typeof hypervisorInfo>;

/** What a host is and has; `godwit hosts`. */
export const hostInfo = z.object({
  name: hostName,
  address,
  /** Where it stands, by its configuration. */
  site: siteName.optional(),
  version: name64,
  /** Of its kernel: another one after each start. */
  bootId: name64.optional(),
  protocolVersions: z.array(z.number().int()).max(16),
  processor: z.object({
    model: shortText,
    cores,
    features: z.array(name64).max(1024),
  }),
  memoryBytes: bytes,
  memoryAvailableBytes: bytes,
  links: z
    .array(
      z.object({
        name: name64,
        kind: name64,
        mtu: z.number().int(),
        up: z.boolean(),
        master: name64.optional(),
        addresses: z.array(name64).max(64),
      }),
    )
    .max(4096),
  bridges: z.array(name64).max(1024),
  hypervisors: z.array(hypervisorInfo).max(32),
  /** Why no guest may come here, as the host itself knows; absent where one may, and of earlier builds. */
  closed: shortText.optional(),
  /** What its hardware says of itself; absent before the first look, and of earlier builds. */
  health: hostHealth.optional(),
  guests: z.number().int(),
  migrations: z.object({ in: z.number().int(), out: z.number().int() }),
});
export type HostInfo = z.infer<typeof hostInfo>;

/** A line of `godwit hosts`: this host in full, peers as far as they answer. */
export const hostEntry = z.object({
  name: hostName,
  address,
  self: z.boolean(),
  status: z.enum(['up', 'unreachable', 'untrusted', 'incompatible']),
  reason: shortText.optional(),
  info: hostInfo.optional(),
});
export type HostEntry = z.infer<typeof hostEntry>;

export const guestRunState = z.enum([
  'running',
  'paused',
  'incoming',
  'migrating',
  'stopped',
  'unknown',
]);
export type GuestRunState = z.infer<typeof guestRunState>;

/** A guest that this host has; `godwit guests`. */
export const guestInfo = z.object({
  name: guestName,
  /** What it calls itself, where that is no name for hosts: they know it by one that is made of it. */
  ownName: shortText.optional(),
  host: hostName,
  driver: name64,
  uuid: name64.optional(),
  state: guestRunState,
  pid: z.number().int().optional(),
  memoryBytes: bytes.optional(),
  vcpus: cores.optional(),
  /** Cores that it used lately, where its driver counts them. */
  usedCores: z.number().nonnegative().max(1_000_000).optional(),
  machineType: name64.optional(),
  hypervisorVersion: name64.optional(),
  accelerator: name64.optional(),
  /** Who else holds it (libvirt, Proxmox...): such a guest is listed and not moved here. */
  manager: name64.optional(),
  /** What people said of it at its host, and what its manager says of it. */
  labels: labels.optional(),
  nics: z
    .array(z.object({ id: name64, mac: name64, bridge: name64.optional() }))
    .max(64)
    .default([]),
  devices: z
    .array(z.object({ id: name64, type: name64 }))
    .max(1024)
    .default([]),
  /** Its disks, each with the image that it writes to, where the agent could see them. */
  disks: z
    .array(
      z.object({ name: z.string().max(256), file: z.string().max(4096), format: name64, bytes }),
    )
    .max(256)
    .optional(),
  /** What would stop it from moving, in words; empty when nothing is known to. */
  unmovable: z.array(shortText).max(64).default([]),
  /** What does not stop it, and is to be known before it moves: such as a processor beyond the baseline. Absent: nothing. */
  warnings: z.array(shortText).max(64).optional(),
  migration: migrationId.optional(),
  /**
   * Between which hosts that migration moves it, and which of them runs it, as far as this host knows. `epoch`: the
   * guest's epoch after the move; absent in reports of earlier builds.
   */
  moving: z.object({ from: hostName, to: hostName, runsAt, epoch: epoch.optional() }).optional(),
  /**
   * The epoch of the newest completed move of the guest that this host knows. Of two reports the higher one is newer.
   * Absent: the host knows no such move, or does not report it (earlier builds).
   */
  epoch: epoch.optional(),
});
export type GuestInfo = z.infer<typeof guestInfo>;
