import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import { type ArchiveEntry, cpioArchive } from './cpio.ts';
import { type GuestKernel, guestKernel } from './kernel.ts';
import { hostProgram } from './program.ts';

export interface GuestImage {
  readonly kernel: string;
  readonly initramfs: string;
}

/** Below modulesDir, in an order in which each finds what it needs. One that is missing is built into the kernel. */
const MODULES = [
  'drivers/virtio/virtio_ring.ko',
  'drivers/virtio/virtio.ko',
  'drivers/virtio/virtio_pci_legacy_dev.ko',
  'drivers/virtio/virtio_pci_modern_dev.ko',
  'drivers/virtio/virtio_pci.ko',
  'net/core/failover.ko',
  'drivers/net/net_failover.ko',
  'drivers/net/virtio_net.ko',
  'drivers/block/virtio_blk.ko',
  'drivers/virtio/virtio_balloon.ko',
  'fs/efivarfs/efivarfs.ko',
  'drivers/acpi/button.ko',
];

const APPLETS =
  'sh cat cp dd echo ip insmod md5sum mkdir mkfifo mount mv nc poweroff rm rmdir sleep sync tr usleep free ps top'.split(
    ' ',
  );

const SCRIPTS = {
  init: 'init',
  'bin/dirty': 'dirty',
  'bin/busy': 'busy',
  'bin/disk': 'disk',
  'bin/counter': 'counter',
  'bin/command': 'command',
  'bin/database': 'database',
};

/** What a guest does with its disks: writes pieces to them, or runs a database on the first. */
const GUEST_LOADS = ['pieces', 'database'] as const;
export type GuestLoad = (typeof GUEST_LOADS)[number];

/** Where images are kept; agents find them there by content. */
export function imageDirectory(): string {
  return path.join(cacheDirectory(), 'guest', 'images');
}

/**
 * The guest's kernel and initramfs; made once per content. Throws GODWIT_HOST_LACKS without a kernel, and for a
 * database without this machine's sqlite3.
 */
export async function guestImage(load: GuestLoad = 'pieces'): Promise<GuestImage> {
  const kernel = await guestKernel();
  const more = load === 'database' ? await hostProgram('sqlite3') : [];
  const archive = cpioArchive([...(await initramfsEntries(kernel)), ...more]);
  const digest = createHash('sha256').update(archive).digest('hex').slice(0, 16);
  const initramfs = path.join(imageDirectory(), `initramfs-${digest}.cpio.gz`);
  const present = await stat(initramfs).catch(() => undefined);
  if (present === undefined) {
    await mkdir(imageDirectory(), { recursive: true });
    const temporary = `${initramfs}.${randomUUID().slice(0, 8)}`;
    await writeFile(temporary, gzipSync(archive, { level: 6 }));
    await rename(temporary, initramfs);
  }
  return { kernel: kernel.vmlinuz, initramfs };
}

async function initramfsEntries(kernel: GuestKernel): Promise<ArchiveEntry[]> {
  const directories = ['bin', 'dev', 'proc', 'modules'].map((name): ArchiveEntry => {
    return { kind: 'directory', path: name };
  });
  const modules = await moduleFiles(kernel);
  const order = modules.map(({ name }) => `${name}\n`).join('');
  const scripts = await Promise.all(
    Object.entries(SCRIPTS).map(async ([target, source]): Promise<ArchiveEntry> => {
      const data = await readFile(new URL(`${source}.sh`, import.meta.url));
      return { kind: 'file', path: target, data, mode: 0o755 };
    }),
  );
  return [
    ...directories,
    // The kernel opens it for init before anything is mounted.
    { kind: 'character', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'file', path: 'bin/busybox', data: await readFile(kernel.busybox), mode: 0o755 },
    ...APPLETS.map((name): ArchiveEntry => {
      return { kind: 'symlink', path: `bin/${name}`, target: 'busybox' };
    }),
    ...modules.map(({ name, data }): ArchiveEntry => {
      return { kind: 'file', path: `modules/${name}`, data };
    }),
    { kind: 'file', path: 'modules/order', data: Buffer.from(order) },
    ...scripts,
  ];
}

async function moduleFiles(kernel: GuestKernel): Promise<{ name: string; data: Buffer }[]> {
  const files = await Promise.all(
    MODULES.map(async (file) => {
      const full = path.join(kernel.modulesDir, 'kernel', file);
      const data = await readFile(full).catch(() => undefined);
      return data === undefined ? undefined : { name: path.basename(file), data };
    }),
  );
  return files.filter((file) => file !== undefined);
}
