import { z } from 'zod';
import type { NamedPath } from '../../port/inventory.ts';
import { offeredDevices } from './plug/offer.ts';

const MIN_MARGIN = 1024 ** 3;
const MARGIN = 4 * MIN_MARGIN;
const MIN_TASKS = 256;
const TASKS = 4096;
const path = z.string().min(1).max(4096);

/** `drivers.qemu` of a host's configuration. */
export const qemuOptions = z.strictObject({
  /** QEMU programs to offer, best first; default: those on the PATH. */
  programs: z.array(path).max(16).default([]),
  /**
   * As whom the QEMU of a guest that comes runs. A range of numbers: each guest's is a user of its own, which has no name
   * and owns nothing else; the first number is the group that may open devices. `agent`: as this agent, root where that is.
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
   * What the cgroup of each such QEMU allows beyond what its guest has: bytes besides its memory and a quarter of it, and
   * tasks besides those of its processors and iothreads. `none`: it stays in the agent's cgroup.
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
   * What serves the TPMs of guests that come. `program`: swtpm; default: the first on the PATH. `keyDir`: where the
   * passphrase of each guest's TPM is, in a file of the guest's name that only the agent can read.
   */
  tpm: z.strictObject({ program: path.optional(), keyDir: path.optional() }).default({}),
  /**
   * The processor that all hosts are to have in common, as `godwit advise cpu` prints it: a model with its version, and
   * features. A host that cannot give it takes no guest, and a guest that has more is warned of.
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
   * `keyDir`: where the passphrases of encrypted disks are, that of a guest in a file of its name, or those of its disks in a
   * directory of its name, each in a file of the disk's name; only the agent can read them.
   */
  luks: z.strictObject({ keyDir: path.optional() }).default({}),
  /**
   * Devices of this host that guests who come may have in the place of those that are passed through to them at their source:
   * addresses on PCI, or UUIDs of mediated devices.
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
  /** Devices of this host that guests may get when they come, by the names that `--plug` has for them. */
  devices: offeredDevices.default({}),
  /** Where kernels, initramfs and firmware images are looked for, by content. */
  imageDirs: z
    .array(path)
    .max(64)
    .default(['/boot', '/var/lib/godwit/images', '/var/lib/libvirt/images']),
});

/** The paths that those options name for something that has to be there. Pure. */
export function qemuPaths({ programs, tpm, luks }: z.infer<typeof qemuOptions>): NamedPath[] {
  return [
    ...programs.map((at, index): NamedPath => ({ setting: `programs.${index}`, at, kind: 'file' })),
    { setting: 'tpm.program', at: tpm.program, kind: 'file' },
    { setting: 'tpm.keyDir', at: tpm.keyDir, kind: 'directory' },
    { setting: 'luks.keyDir', at: luks.keyDir, kind: 'directory' },
  ];
}

/** Where these options were in the configuration of earlier builds: there -> here. */
export const qemuMoved = { qemu: 'programs', qemuUser: 'user', imageDirs: 'imageDirs' } as const;
