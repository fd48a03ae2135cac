import { z } from 'zod';
import { bytes, hostName } from '../names.ts';

/** What a host's machine is: its maker and model where it is a virtual one, and whether guests get its processor. */
export const platform = z.object({
  isVirtual: z.boolean(),
  /** As the firmware says it: `Amazon EC2`, `m5.large`. */
  maker: z.string().max(64).optional(),
  model: z.string().max(64).optional(),
  /** The cloud that it is known to be a machine of. */
  cloud: z.string().max(32).optional(),
  /** `/dev/kvm` can be opened. */
  hasKvm: z.boolean(),
});
export type Platform = z.infer<typeof platform>;

export const MAX_SITE_CHECKS = 256;
const MAX_UNENCRYPTED = 256;
export const MAX_RDMA = 16;

/** What each host of a migration reports to the other of itself, for the checks that need both. */
export const hostFacts = z.object({
  name: hostName,
  /** Of its build. */
  version: z.string().max(64),
  /** Its clock when it answered, ms since 1970. */
  wallMs: z.number().nonnegative(),
  /** Free where it keeps its journals. */
  journalFreeBytes: bytes.optional(),
  /** When its certificate expires, ms since 1970. */
  certificateEndsMs: z.number().nonnegative().optional(),
  /** The hooks that it would call. */
  hooks: z.array(z.string().max(64)).max(32).optional(),
  /** The site's own checks of guests that it could run; an older host runs none. */
  siteChecks: z.array(z.string().max(64)).max(MAX_SITE_CHECKS).optional(),
  /** The hosts with which it lets memory go unencrypted; an older host says nothing, and lets it with none. */
  unencryptedMemory: z.array(hostName).max(MAX_UNENCRYPTED).optional(),
  /** Its RDMA devices with a port that is active. */
  rdma: z.array(z.string().max(64)).max(MAX_RDMA).optional(),
  /** An older host does not say it. */
  platform: platform.optional(),
  /** It gives a guest back what was taken of it by its balloon (`balloon`); an older host does not. */
  givesBack: z.boolean().optional(),
});
export type HostFacts = z.infer<typeof hostFacts>;
