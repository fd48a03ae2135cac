import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { godwitError } from '../../src/errors.ts';
import { runCommand } from '../command.ts';
import { inHost, inLab } from '../entry.ts';
import { labEnvironment } from '../environment.ts';
import { checkVlan, guestPortRemoval, guestPortSteps } from '../guest-port.ts';
import { guestImage, type GuestImage, type GuestLoad } from '../image/initramfs.ts';
import { checkGuestName, guestAddress, guestUuid, macAddress, tapName } from '../plan.ts';
import { buildNetwork } from '../namespaces.ts';
import { storageClientLacks } from '../storage.ts';
import { parseMemory } from '../../src/system/kernel-tables.ts';
import { isAlive, type ProcessIdentity } from '../../src/system/processes/process.ts';
import { checkSocketPath } from '../../src/protocol/socket-path.ts';
import { endProcesses, startDetached } from '../processes.ts';
import { type Lab, type LabHost, labHost } from '../state.ts';
import { chooseAccelerator } from './accelerator.ts';
import {
  type Accelerator,
  divideWorkingSet,
  type GuestHardware,
  guestFiles,
  kernelCommandLine,
  qemuArgv,
} from './argv.ts';
import { makeDisks, removeDisks, type DiskRequest } from './disks.ts';
import { chooseQemu, defaultMachineType, type QemuBinary } from './qemu.ts';
import { type LabGuest, recordGuest, releaseGuest, reserveGuest } from './registry.ts';

export interface GuestRequest {
  readonly name: string;
  readonly host: string;
  /** Default 512 MiB. */
  readonly memoryBytes?: number | undefined;
  /** Checksummed memory; default a quarter of the guest's memory. With a dirty rate half of it is rewritten. */
  readonly workingSetBytes?: number | undefined;
  /** Of the working set, the share that is rewritten where there is a dirty rate. Default 0.5. */
  readonly rewrittenShare?: number | undefined;
  /** Bytes/s that the guest writes into its working set. Default 0. */
  readonly dirtyBytesPerSecond?: number | undefined;
  readonly disks?: readonly DiskRequest[] | undefined;
  /** Bytes/s that the guest writes to each of its disks; default about 1 MiB/s, in small pieces. */
  readonly diskBytesPerSecond?: number | undefined;
  /** Writes pieces to its disks, or runs a database on the first of them. Default: pieces. */
  readonly load?: GuestLoad | undefined;
  /** Its balloon device says which pages are free while it moves. Default: it does not. */
  readonly freePageHint?: boolean | undefined;
  /** A version (`7.2`), a path, or the first QEMU found. */
  readonly qemu?: string | undefined;
  /** Default: that of the QEMU chosen. */
  readonly machineType?: string | undefined;
  readonly accelerator?: Accelerator | 'auto' | undefined;
  /** The VLAN that it is in, in a lab of Open vSwitch. Default: the lab's own. */
  readonly vlan?: number | undefined;
  /** Its initramfs, instead of the lab's. */
  readonly initramfs?: string | undefined;
  /** Put before QEMU's last arguments, for tests of devices that cannot move. */
  readonly extraArguments?: readonly string[];
  /** Further words of the guest kernel's command line. */
  readonly kernelWords?: readonly string[];
  /** Wait until the working set is there and the guest answers. Default true. */
  readonly waitUntilReady?: boolean;
  readonly signal?: AbortSignal;
}

const DEFAULT_MEMORY_BYTES = 512 * 1024 ** 2;
const SHORTER = 'Set GODWIT_LAB_DIR to a shorter directory, or use a shorter guest name.';
export const BOOT_DEADLINE_MS = 60_000;
/** A slow machine under TCG still checksums this many bytes of working set a second. */
const SLOWEST_SETUP_BYTES_PER_SECOND = 5 * 1024 ** 2;

/** What a guest is before it is started. Its address in the lab is its own until it is released. */
export async function newGuest(
  lab: Lab,
  request: GuestRequest,
  qemu: QemuBinary,
  image: GuestImage,
): Promise<LabGuest & { readonly accelerator: Accelerator }> {
  const { name, host, signal } = request;
  const { memoryBytes, dirtyBytesPerSecond, parts } = dividedMemory(request);
  const wanted = request.accelerator ?? 'auto';
  const accelerator = wanted === 'auto' ? await chooseAccelerator(qemu.path, image) : wanted;
  const machineType = request.machineType ?? (await defaultMachineType(qemu, signal));
  const index = await reserveGuest(lab, name, host);
  return {
    name,
    index,
    startedOn: host,
    address: guestAddress(index),
    mac: macAddress(`${lab.name}/${name}`),
    uuid: guestUuid(lab.name, name),
    memoryBytes,
    ...parts,
    dirtyBytesPerSecond,
    qemuVersion: qemu.version,
    machineType,
    accelerator,
  };
}

/**
 * Boots a guest on a host of the lab. Throws GODWIT_NAME_IN_USE, GODWIT_HOST_UNKNOWN,
 * GODWIT_MEMORY_SHORT, GODWIT_HOST_LACKS (QEMU or kernel), GODWIT_LAB (it did not come up, with the
 * last lines it wrote); nothing is left of a guest that did not come up.
 */
export async function startGuest(lab: Lab, request: GuestRequest): Promise<LabGuest> {
  const name = checkGuestName(request.name);
  const host = labHost(lab, request.host);
  checkVlan(lab, request.vlan);
  await checkMemory(host, name, dividedMemory(request).memoryBytes);
  const dir = path.join(host.stateDir, 'guests', name);
  checkSocketPath(guestFiles(dir).witness, SHORTER);
  const disks = disksOf(request);
  const [qemu, image] = await Promise.all([
    chooseQemu(request.qemu, request.signal),
    guestImage(request.load),
  ]);
  const lacking = disks.length === 0 ? undefined : await storageClientLacks(lab, qemu.path);
  if (lacking !== undefined) throw lacking;
  const described = await newGuest(lab, request, qemu, image);
  try {
    const at = { host: host.name, guest: name };
    const made = await makeDisks(lab, at, disks, request.signal);
    const drives = made.map(({ drive }) => drive);
    const guest = {
      ...described,
      ...(made.length === 0 ? {} : { disks: made.map(({ file }) => file) }),
    };
    const { diskBytesPerSecond, load, initramfs = image.initramfs } = request;
    const plain = hardwareOf(
      { ...guest, diskBytesPerSecond, load },
      { binary: qemu.path, dir, drives, ...image, initramfs },
    );
    const commandLine = [plain.commandLine, ...(request.kernelWords ?? [])].join(' ');
    const ownChecksums = lab.network === 'ovs';
    const { freePageHint } = request;
    const hardware = { ...plain, commandLine, ownChecksums, freePageHint };
    await launch(lab, host, hardware, request);
    await recordGuest(lab, guest);
    return guest;
  } catch (error) {
    await removeDisks(lab, name);
    await releaseGuest(lab, name, described.index);
    throw error;
  }
}

/** How much memory a guest is to have, and what it does with it. GODWIT_USAGE where that does not fit. */
export function dividedMemory(request: GuestRequest): {
  readonly memoryBytes: number;
  readonly dirtyBytesPerSecond: number;
  readonly parts: { readonly staticBytes: number; readonly dirtyBytes: number };
} {
  const { memoryBytes = DEFAULT_MEMORY_BYTES, dirtyBytesPerSecond = 0 } = request;
  const { workingSetBytes, rewrittenShare } = request;
  const parts = divideWorkingSet(memoryBytes, workingSetBytes, dirtyBytesPerSecond, rewrittenShare);
  if (parts === undefined) throw workingSetTooLarge(memoryBytes, workingSetBytes);
  return { memoryBytes, dirtyBytesPerSecond, parts };
}

/** A database wants a file system on the first of them. */
function disksOf({ load, disks = [] }: GuestRequest): readonly DiskRequest[] {
  if (load !== 'database') return disks;
  const [first, ...others] = disks;
  if (first !== undefined) return [{ ...first, fileSystem: true }, ...others];
  throw godwitError(
    'GODWIT_USAGE',
    { what: 'a database without a disk' },
    { hint: 'Say how large its disk is to be: --disk 1G,thin --load database.' },
  );
}

function hardwareOf(
  guest: LabGuest & { accelerator: Accelerator } & Pick<
      GuestRequest,
      'diskBytesPerSecond' | 'load'
    >,
  host: Pick<GuestHardware, 'binary' | 'dir' | 'kernel' | 'initramfs' | 'drives'>,
): GuestHardware {
  const { name, uuid, index, mac, machineType, accelerator, memoryBytes } = guest;
  const commandLine = kernelCommandLine({ ...guest, disks: guest.disks?.length });
  return { name, uuid, index, mac, machineType, accelerator, memoryBytes, commandLine, ...host };
}

async function launch(
  lab: Lab,
  host: LabHost,
  hardware: GuestHardware,
  request: GuestRequest,
): Promise<void> {
  const { signal } = request;
  const files = guestFiles(hardware.dir);
  const tap = tapName(hardware.index);
  await mkdir(hardware.dir, { recursive: true, mode: 0o700 });
  let process: ProcessIdentity | undefined;
  try {
    const address = guestAddress(hardware.index);
    const port = guestPortSteps(lab, host.name, tap, { address, vlan: request.vlan });
    await buildNetwork(lab, port, signal);
    const argv = [...qemuArgv(hardware), ...(request.extraArguments ?? [])];
    process = await startDetached(inHost(lab, host.name, argv), {
      logFile: files.log,
      env: labEnvironment(lab),
    });
    const sign = request.waitUntilReady === false ? 'godwit: boot' : 'godwit: ready';
    await waitForSign(process, hardware, request, sign);
  } catch (error) {
    await undoLaunch(lab, host, { process, tap, dir: hardware.dir });
    throw error;
  }
}

async function undoLaunch(
  lab: Lab,
  host: LabHost,
  left: { process: ProcessIdentity | undefined; tap: string; dir: string },
): Promise<void> {
  const { process: started } = left;
  if (started !== undefined) {
    await endProcesses(async () => (isAlive(started) ? [started] : []), { graceMs: 500 });
  }
  await removeTap(lab, host, left.tap);
  await rm(left.dir, { recursive: true, force: true });
}

export async function removeTap(lab: Lab, host: LabHost, tap: string): Promise<void> {
  const steps = guestPortRemoval(lab, host.name, tap);
  await buildNetwork(lab, steps, undefined).catch(() => {});
  const argv = inLab(lab.entry, ['ip', '-n', host.namespace, 'link', 'delete', tap]);
  // It may not have been made, or be gone already.
  await runCommand(argv).catch(() => {});
}

/** Waits for a line on the serial console; what the guest and QEMU said last is in the error. */
async function waitForSign(
  process: ProcessIdentity,
  hardware: GuestHardware,
  { signal, workingSetBytes = hardware.memoryBytes }: GuestRequest,
  sign: string,
): Promise<void> {
  const files = guestFiles(hardware.dir);
  const deadlineMs = BOOT_DEADLINE_MS + (workingSetBytes / SLOWEST_SETUP_BYTES_PER_SECOND) * 1000;
  const start = systemClock.monotonicMs();
  for (;;) {
    const serial = await readFile(files.serialLog, 'utf8').catch(() => '');
    if (serial.includes(sign)) return;
    const alive = isAlive(process);
    if (!alive || systemClock.monotonicMs() - start > deadlineMs) {
      const log = await readFile(files.log, 'utf8').catch(() => '');
      const said = [log, serial].map((text) => text.trim().split('\n').slice(-3).join(' | '));
      const what = alive
        ? `did not come up in ${Math.round(deadlineMs)} ms`
        : 'ended while booting';
      throw godwitError('GODWIT_LAB', {
        what: `guest ${hardware.name} ${what}: ${said.filter((text) => text !== '').join(' || ') || 'it said nothing'}`,
      });
    }
    await systemClock.sleep(20, signal);
  }
}

export async function checkMemory(
  host: LabHost,
  guest: string,
  neededBytes: number,
): Promise<void> {
  const { availableBytes } = parseMemory(await readFile('/proc/meminfo', 'utf8'));
  if (neededBytes <= availableBytes) return;
  throw godwitError('GODWIT_MEMORY_SHORT', {
    host: `host ${host.name}`,
    availableBytes,
    guest,
    neededBytes,
  });
}

function workingSetTooLarge(memoryBytes: number, workingSetBytes: number | undefined): Error {
  const mib = (bytes: number): string => `${Math.floor(bytes / 1024 ** 2)}M`;
  const set = workingSetBytes === undefined ? '' : ` with a working set of ${mib(workingSetBytes)}`;
  return godwitError(
    'GODWIT_USAGE',
    { what: `a guest of ${mib(memoryBytes)}${set} is too small` },
    {
      hint: 'Its kernel and userland take 112M: give it at least --memory 128M and that much more than its working set.',
    },
  );
}
