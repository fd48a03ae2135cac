import { z } from 'zod';
import type { NamedPath } from '../../port/inventory.ts';
import { offeredDevices } from './plug/offer.ts';

const MIN_MARGIN = 1024 ** 3;
const MARGIN = 4 * MIN_MARGIN;
const MIN_TASKS = 256;
const TASKS = 4096;
const path = z.string().min(1).max(4096);

export const qemuOptions = z.strictObject({
  /** QEMU programs to offer, best first. Default: the programs on the PATH. */
  programs: z.array(path).max(16).default([]),
  /**
   * User of an arriving guest's QEMU. With a range of numbers each guest gets a separate user without a name or
   * other files; the range's first number is the group that may open devices. `agent`: the agent's user, even if
   * that is root.
   */
  user: z
    .union(
      [
        z.literal('agent'),
        z
          .strictObject({
            from: z.number().int().min(1000).max(0x7fff_ffff),
            count: z.number().int().min(2).max(0x0100_0000),
          })
          .refine(({ from, count }) => from + count <= 0x8000_0000, 'users above 2147483647'),
      ],
      'neither "agent" nor { from, count } of numbers of users',
    )
    .default({ from: 0x7000_0000, count: 0x0100_0000 }),
  /**
   * Limits of each QEMU's cgroup: bytes beyond the guest's memory and a quarter of it, and tasks beyond its
   * processors and iothreads. `none`: QEMU stays in the agent's cgroup.
   */
  cgroup: z
    .union([
      z.literal('none'),
      z.strictObject({
        memoryMarginBytes: z.number().int().min(MIN_MARGIN).default(MARGIN),
        tasks: z.number().int().min(MIN_TASKS).default(TASKS),
      }),
    ])
    .default({ memoryMarginBytes: MARGIN, tasks: TASKS }),
  /**
   * TPMs of arriving guests. `program`: swtpm; default: the first on the PATH. `keyDir`: folder of the TPM
   * passphrases, one file per guest, named after the guest and readable only by the agent.
   */
  tpm: z.strictObject({ program: path.optional(), keyDir: path.optional() }).default({}),
  /**
   * Processor that all hosts share, as printed by `godwit advise cpu`: a versioned model and features. A host
   * that lacks it accepts no guest; a guest that has more gets a warning.
   */
  baseline: z
    .string()
    .max(32_768)
    .regex(
      /^[A-Za-z0-9.-]{1,64}-v\d{1,3}(,[a-z0-9.-]{1,64}=on)*$/,
      'not written MODEL-vN,FEATURE=on,... as `godwit advise cpu` prints it',
    )
    .optional(),
  /**
   * `keyDir`: folder of the disk passphrases. A guest has one file with its name, or a directory with its name
   * that contains one file per disk. Only the agent can read them.
   */
  luks: z.strictObject({ keyDir: path.optional() }).default({}),
  /**
   * This host's devices that can replace devices passed through at the source: PCI addresses, or UUIDs of
   * mediated devices.
   */
  passthrough: z
    .array(
      z
        .string()
        .regex(
          /^([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/,
          'neither an address such as 0000:3b:00.2 nor the UUID of a mediated device',
        ),
    )
    .max(256)
    .default([]),
  /** This host's devices that arriving guests may get, by the names that `--plug` uses. */
  devices: offeredDevices.default({}),
  /** Folders in which kernels, initramfs and firmware images are looked for by content. */
  imageDirs: z
    .array(path)
    .max(64)
    .default(['/boot', '/var/lib/godwit/images', '/var/lib/libvirt/images']),
});

export function qemuPaths({ programs, tpm, luks }: z.infer<typeof qemuOptions>): NamedPath[] {
  return [
    ...programs.map((at, index): NamedPath => ({ setting: `programs.${index}`, at, kind: 'file' })),
    { setting: 'tpm.program', at: tpm.program, kind: 'file' },
    { setting: 'tpm.keyDir', at: tpm.keyDir, kind: 'directory' },
    { setting: 'luks.keyDir', at: luks.keyDir, kind: 'directory' },
  ];
}

/** Names of these options in the configuration of earlier builds: old -> new. */
export const qemuMoved = { qemu: 'programs', qemuUser: 'user', imageDirs: 'imageDirs' } as const;
