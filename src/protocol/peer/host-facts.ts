import { z } from 'zod';
import { bytes, hostName } from '../names.ts';

/** A host's machine. */
export const platform = z.object({
  isVirtual: z.boolean(),
  /** From the firmware: `Amazon EC2`, `m5.large`. */
  maker: z.string().max(64).optional(),
  model: z.string().max(64).optional(),
  /** The cloud that it belongs to, if recognised. */
  cloud: z.string().max(32).optional(),
  /** `/dev/kvm` can be opened. */
  hasKvm: z.boolean(),
});
export type Platform = z.infer<typeof platform>;

export const MAX_SITE_CHECKS = 256;
const MAX_UNENCRYPTED = 256;
export const MAX_RDMA = 16;

export const hostFacts = z.object({
  name: hostName,
  version: z.string().max(64),
  wallMs: z.number().nonnegative(),
  journalFreeBytes: bytes.optional(),
  certificateEndsMs: z.number().nonnegative().optional(),
  hooks: z.array(z.string().max(64)).max(32).optional(),
  /** Site checks that it can run; absent: none (an older host). */
  siteChecks: z.array(z.string().max(64)).max(MAX_SITE_CHECKS).optional(),
  /** Hosts that may exchange unencrypted memory with it; absent: none (an older host). */
  unencryptedMemory: z.array(hostName).max(MAX_UNENCRYPTED).optional(),
  /** RDMA devices with an active port. */
  rdma: z.array(z.string().max(64)).max(MAX_RDMA).optional(),
  /** Absent: an older host. */
  platform: platform.optional(),
  /** It returns memory taken by the guest's balloon (`balloon`); absent: an older host does not. */
  givesBack: z.boolean().optional(),
});
export type HostFacts = z.infer<typeof hostFacts>;
