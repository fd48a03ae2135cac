import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { godwitError } from '../../src/errors.ts';
import { kernelCommandLine, type GuestDrive } from '../guest/argv.ts';
import type { DiskRequest } from '../guest/disks.ts';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import { chooseQemu, qemuBinaries, type QemuBinary } from '../guest/qemu.ts';
import { labGuest, recordGuest, releaseGuest, type LabGuest } from '../guest/registry.ts';
import {
  BOOT_DEADLINE_MS,
  checkMemory,
  dividedMemory,
  newGuest,
  type GuestRequest,
} from '../guest/start.ts';
import { guestImage } from '../image/initramfs.ts';
import { checkGuestName } from '../plan.ts';
import { labHost, type Lab } from '../state.ts';
import { POOL, virsh } from './daemon.ts';
import { domainXml, type DomainFirmware } from './domain.ts';
import { ownFiles } from './mounts.ts';

/** Guests of a lab whose hosts have libvirt. */

const EXTENSIONS = ['raw', 'qcow2'] as const;

/**
 * Boots a guest through the libvirt of a host, with a definition that lasts. Throws as `startGuest` does; nothing is left of
 * one that did not come up.
 */
export async function startDomain(
  lab: Lab,
  request: GuestRequest,
  firmware?: DomainFirmware,
): Promise<LabGuest> {
  const name = checkGuestName(request.name);
  const host = labHost(lab, request.host);
  const { load, vlan, freePageHint } = request;
  if (load === 'database' || vlan !== undefined || freePageHint === true) {
    const what = 'a guest of libvirt with --load database, --vlan or --free-page-hint';
    throw godwitError(
      'GODWIT_USAGE',
      { what },
      { hint: 'Leave it out, or take a lab without --with.' },
    );
  }
  await checkMemory(host, name, dividedMemory(request).memoryBytes);
  const [qemu, image] = await Promise.all([managersQemu(lab, request), guestImage()]);
  const guest = await newGuest(lab, request, qemu, image);
  const directory = path.join(lab.dir, 'domains', name);
  const serialLog = path.join(directory, 'serial.log');
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const drives = await makeVolumes(lab, host.name, name, request.disks ?? []);
    const { diskBytesPerSecond, initramfs = image.initramfs } = request;
    const workload = { ...guest, disks: drives.length, diskBytesPerSecond };
    const words = [kernelCommandLine(workload), ...(request.kernelWords ?? [])];
    const facts = { ...guest, binary: qemu.path, ...image, initramfs, drives, serialLog, firmware };
    const { extraArguments } = request;
    const file = path.join(directory, 'domain.xml');
    await writeFile(file, domainXml({ ...facts, extraArguments, commandLine: words.join(' ') }));
    await virsh(lab, host.name, ['define', file]);
    await virsh(lab, host.name, ['start', name]);
    await untilReady(serialLog, request);
    const recorded = {
      ...guest,
      ...(drives.length === 0 ? {} : { disks: drives.map(({ file: at }) => at) }),
    };
    await recordGuest(lab, recorded);
    return recorded;
  } catch (error) {
    await removeDomain(lab, name);
    await releaseGuest(lab, name, guest.index);
    throw error;
  }
}

/**
 * Unless another is asked for, the distribution's own. The newest where the lab has a libvirt of packages: its hosts go
 * without the modules at which that one ends when libvirt asks what it is able to do.
 */
async function managersQemu(
  { managerPackages }: Lab,
  { qemu, signal }: GuestRequest,
): Promise<QemuBinary> {
  const isOwn = qemu === undefined && managerPackages === undefined;
  const all = isOwn ? await qemuBinaries(signal) : [];
  const own = all.find((each) => !each.path.startsWith(cacheDirectory()));
  return chooseQemu(qemu ?? own?.path, signal);
}

async function makeVolumes(
  lab: Lab,
  host: string,
  guest: string,
  disks: readonly DiskRequest[],
): Promise<GuestDrive[]> {
  const drives: GuestDrive[] = [];
  for (const [index, { bytes, thin }] of disks.entries()) {
    const format = thin ? 'qcow2' : 'raw';
    const volume = `${guest}-disk${index}.${format}`;
    const size = ['--capacity', `${bytes}b`, '--format', format];
    const allocation = thin ? [] : ['--allocation', `${bytes}b`];
    await virsh(lab, host, ['vol-create-as', POOL.name, volume, ...size, ...allocation]);
    drives.push({ file: path.join(POOL.directory, volume), format, thin });
  }
  return drives;
}

async function untilReady(serialLog: string, request: GuestRequest): Promise<void> {
  const sign = request.waitUntilReady === false ? 'godwit: boot' : 'godwit: ready';
  const start = systemClock.monotonicMs();
  for (;;) {
    const serial = await readFile(serialLog, 'utf8').catch(() => '');
    if (serial.includes(sign)) return;
    if (systemClock.monotonicMs() - start > BOOT_DEADLINE_MS) {
      const said = serial.trim().split('\n').slice(-3).join(' | ') || 'it said nothing';
      throw godwitError('GODWIT_LAB', { what: `guest ${request.name} did not come up: ${said}` });
    }
    await systemClock.sleep(50, request.signal);
  }
}

/** Ends a guest wherever it is, with its definitions, volumes and address. */
export async function stopDomain(lab: Lab, name: string): Promise<void> {
  const { index } = await labGuest(lab, name);
  await removeDomain(lab, name);
  await releaseGuest(lab, name, index);
}

async function removeDomain(lab: Lab, name: string): Promise<void> {
  for (const { name: host } of lab.members) {
    const quietly = (...words: string[]): Promise<unknown> =>
      virsh(lab, host, words).catch(() => undefined);
    await quietly('destroy', name);
    await quietly('undefine', name, '--nvram');
    await quietly('pool-refresh', POOL.name);
    for (const volume of volumesOf(lab, host, name)) await quietly('vol-delete', volume, POOL.name);
  }
  await rm(path.join(lab.dir, 'domains', name), { recursive: true, force: true });
}

function volumesOf(lab: Lab, host: string, guest: string): string[] {
  const files = ownFiles(labHost(lab, host), POOL.directory);
  const endings = EXTENSIONS.map((each) => `.${each}`);
  return files.filter(
    (file) => file.startsWith(`${guest}-disk`) && endings.some((each) => file.endsWith(each)),
  );
}

/** What the libvirt of each host says of a guest: `running`, `paused`, `shut off`; hosts without it are left out. */
export async function domainStates(
  lab: Lab,
  name: string,
): Promise<{ readonly host: string; readonly status: string }[]> {
  const found = await Promise.all(
    lab.hosts.map(async (host) => {
      const status = await virsh(lab, host, ['domstate', name]).catch(() => '');
      return status.trim() === '' ? [] : [{ host, status: status.trim() }];
    }),
  );
  return found.flat();
}
