import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../src/errors.ts';
import { didYouMean } from '../../src/protocol/nearest.ts';
import { MAX_GUESTS } from '../plan.ts';
import type { Lab } from '../state.ts';

const guestRecord = z.strictObject({
  name: z.string().max(64),
  index: z.number().int().positive(),
  /** Where it was started; a migration may have moved it since. */
  startedOn: z.string().max(8),
  address: z.string().max(40),
  mac: z.string().max(20),
  uuid: z.string().max(40),
  memoryBytes: z.number().int().positive(),
  staticBytes: z.number().int().nonnegative(),
  dirtyBytes: z.number().int().nonnegative(),
  dirtyBytesPerSecond: z.number().nonnegative(),
  /** `none` of a container, as its accelerator. */
  qemuVersion: z.string().max(32),
  machineType: z.string().max(64),
  accelerator: z.enum(['kvm', 'tcg', 'none']),
  /** The files of its disks, on the storage of the host where it was started. */
  disks: z.array(z.string().max(4096)).max(16).optional(),
});

/** A guest that the lab started: guests/NAME.json in the lab's directory. */
export type LabGuest = z.infer<typeof guestRecord>;

function guestFile(lab: Lab, name: string): string {
  return path.join(lab.dir, 'guests', `${name}.json`);
}

/**
 * Takes a name and an address for a guest. Exclusive creation of files is the lock: several commands
 * may start guests at once. Throws GODWIT_NAME_IN_USE, or GODWIT_LAB when the addresses are used up.
 */
export async function reserveGuest(lab: Lab, name: string, host: string): Promise<number> {
  if (!(await createExclusive(guestFile(lab, name)))) {
    throw godwitError('GODWIT_NAME_IN_USE', {
      host: `lab ${lab.name}, host ${host},`,
      guest: name,
    });
  }
  await mkdir(path.join(lab.dir, 'addresses'), { recursive: true });
  for (let index = 1; index <= MAX_GUESTS; index += 1) {
    if (await createExclusive(addressFile(lab, index))) return index;
  }
  await rm(guestFile(lab, name), { force: true });
  throw godwitError('GODWIT_LAB', { what: `lab ${lab.name} has no address left for a guest` });
}

export async function releaseGuest(lab: Lab, name: string, index: number): Promise<void> {
  await rm(guestFile(lab, name), { force: true });
  await rm(addressFile(lab, index), { force: true });
}

export async function recordGuest(lab: Lab, guest: LabGuest): Promise<void> {
  const file = guestFile(lab, guest.name);
  await writeFile(`${file}.tmp`, `${JSON.stringify(guest, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.tmp`, file);
}

/** The lab's guests, by name. One that is just being started is not among them yet. */
export async function labGuests(lab: Lab): Promise<LabGuest[]> {
  const dir = path.join(lab.dir, 'guests');
  const files = (await readdir(dir).catch(() => [])).filter((file) => file.endsWith('.json'));
  const texts = await Promise.all(
    files.toSorted().map((file) => readFile(path.join(dir, file), 'utf8').catch(() => '')),
  );
  return texts.filter((text) => text !== '').map((text) => guestRecord.parse(JSON.parse(text)));
}

/** A guest of the lab; GODWIT_GUEST_UNKNOWN suggests the nearest name. */
export async function labGuest(lab: Lab, name: string): Promise<LabGuest> {
  const guests = await labGuests(lab);
  const found = guests.find((guest) => guest.name === name);
  if (found !== undefined) return found;
  const names = guests.map((guest) => guest.name);
  const hint = didYouMean(name, names);
  throw godwitError(
    'GODWIT_GUEST_UNKNOWN',
    { guest: name.slice(0, 64), host: `lab ${lab.name}` },
    hint === undefined ? {} : { hint },
  );
}

function addressFile(lab: Lab, index: number): string {
  return path.join(lab.dir, 'addresses', String(index));
}

async function createExclusive(file: string): Promise<boolean> {
  try {
    await (await open(file, 'wx', 0o600)).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
