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
export const cores = z.number().int().nonnegative().max(1_000_000);

/** The side of a migration that runs the guest, as far as the reporter knows. */
export const runsAt = z.enum(['source', 'destination', 'unknown', 'nowhere']);

export const hypervisorInfo = z.object({
  driver: name64,
  binary: shortText,
  version: name64,
  /** Supported versioned machine types, e.g. pc-q35-7.2. */
  machineTypes: z.array(name64).max(512),
  accelerators: z.array(name64).max(8),
});
export type HypervisorInfo = z.infer<typeof hypervisorInfo>;

export const hostInfo = z.object({
  name: hostName,
  address,
  site: siteName.optional(),
  version: name64,
  /** The kernel's boot id, new after each start. */
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
  /** The reason why the host admits no guests; absent: it does, or an earlier build. */
  closed: shortText.optional(),
  /** Hardware health; absent before the first look, and in earlier builds. */
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

export const guestInfo = z.object({
  name: guestName,
  /** The guest's own name, if that is invalid here and `name` was derived from it. */
  ownName: shortText.optional(),
  host: hostName,
  driver: name64,
  uuid: name64.optional(),
  state: guestRunState,
  pid: z.number().int().optional(),
  memoryBytes: bytes.optional(),
  vcpus: cores.optional(),
  /** Cores used lately, if its driver counts them. */
  usedCores: z.number().nonnegative().max(1_000_000).optional(),
  machineType: name64.optional(),
  hypervisorVersion: name64.optional(),
  accelerator: name64.optional(),
  /** Another program that manages it (libvirt, Proxmox...): it is listed but not moved here. */
  manager: name64.optional(),
  labels: labels.optional(),
  nics: z
    .array(z.object({ id: name64, mac: name64, bridge: name64.optional() }))
    .max(64)
    .default([]),
  devices: z
    .array(z.object({ id: name64, type: name64 }))
    .max(1024)
    .default([]),
  /** The guest's disks with the images that it writes to, if visible. */
  disks: z
    .array(
      z.object({ name: z.string().max(256), file: z.string().max(4096), format: name64, bytes }),
    )
    .max(256)
    .optional(),
  unmovable: z.array(shortText).max(64).default([]),
  /** Notes that do not block a move, such as a processor beyond the baseline. */
  warnings: z.array(shortText).max(64).optional(),
  migration: migrationId.optional(),
  /**
   * The migration's hosts, and which of them runs the guest by this host's records. `epoch`: the guest's epoch after
   * the move; absent in earlier builds.
   */
  moving: z.object({ from: hostName, to: hostName, runsAt, epoch: epoch.optional() }).optional(),
  /**
   * Epoch of the guest's newest completed move known here. The higher of two reports is newer. Absent: no known move,
   * or an earlier build.
   */
  epoch: epoch.optional(),
});
export type GuestInfo = z.infer<typeof guestInfo>;
