import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { isOnNetwork } from '../../src/protocol/network-file.ts';
import type { Lab } from '../state.ts';
import { seenQemus } from './qemus.ts';
import { askQemu } from './monitor.ts';

/** QEMU holds a permission by a lock on one byte of the image: this one is to write. */
const WRITE_BYTE = 101;

/** A lock that the kernel knows of, on an open file of one process. */
export interface HeldLock {
  readonly start: number;
  readonly end: number;
}

/** From /proc/PID/fdinfo/N: `lock: 1: OFDLCK ADVISORY READ -1 00:2f:1234 100 101`. Pure. */
export function locksIn(fdinfo: string): HeldLock[] {
  return fdinfo.split('\n').flatMap((line) => {
    const found = /^lock:\s+\d+:\s+\S+\s+\S+\s+\S+\s+\S+\s+\S+\s+(\d+)\s+(\d+|EOF)$/.exec(line);
    if (found === null) return [];
    const end = found[2] === 'EOF' ? Number.POSITIVE_INFINITY : Number(found[2]);
    return [{ start: Number(found[1]), end }];
  });
}

/** The files that a guest's disks are on now, as its QEMU itself says: a disk may have been moved on its host. */
export async function imagesInUse(lab: Lab, guest: string): Promise<string[]> {
  const images = new Set<string>();
  for (const qemu of (await seenQemus(lab)).filter((each) => each.guest === guest)) {
    const monitor = qemu.monitors.at(-1);
    if (monitor === undefined) continue;
    const blocks = (await askQemu(monitor, 'query-block').catch(() => [])) as readonly {
      inserted?: { file?: unknown };
    }[];
    for (const { inserted } of blocks) {
      const { file } = inserted ?? {};
      // What QEMU opens with a client of its own is no file of this machine, and has no lock.
      const isHere = typeof file === 'string' && !isOnNetwork(file) && !file.startsWith('json:');
      if (isHere) images.add(file);
    }
  }
  return [...images];
}

/** The hosts whose QEMU of this guest holds the lock to write to an image, as the kernel says: never more than one. */
export async function writersOf(lab: Lab, guest: string, image: string): Promise<string[]> {
  const hosts = new Set<string>();
  for (const qemu of (await seenQemus(lab)).filter((each) => each.guest === guest)) {
    if (await mayWrite(qemu.pid, image)) hosts.add(qemu.host);
  }
  return [...hosts].toSorted();
}

/** Whether a QEMU holds the lock to write to an image. */
export async function mayWrite(pid: number, image: string): Promise<boolean> {
  const { dev, ino } = await stat(image);
  const process = path.join('/proc', String(pid));
  const descriptors = await readdir(path.join(process, 'fd')).catch(() => []);
  for (const descriptor of descriptors) {
    const open = await stat(path.join(process, 'fd', descriptor)).catch(() => undefined);
    if (open?.dev !== dev || open.ino !== ino) continue;
    const info = await readFile(path.join(process, 'fdinfo', descriptor), 'utf8').catch(() => '');
    if (locksIn(info).some(({ start, end }) => start <= WRITE_BYTE && WRITE_BYTE <= end))
      return true;
  }
  return false;
}
