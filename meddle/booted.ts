/** Guests boot once, and each run begins with what they booted to: booting takes longer than moving. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { inHost } from '../lab/entry.ts';
import { labEnvironment } from '../lab/environment.ts';
import { guestFiles } from '../lab/guest/argv.ts';
import { chooseQemu } from '../lab/guest/qemu.ts';
import { removeTap, startGuest } from '../lab/guest/start.ts';
import { guestPortSteps } from '../lab/guest-port.ts';
import { buildNetwork } from '../lab/namespaces.ts';
import { tapName } from '../lab/plan.ts';
import { endProcesses, startDetached } from '../lab/processes.ts';
import { labHost, type Lab } from '../lab/state.ts';
import { seenQemus } from '../lab/witness/qemus.ts';
import type { Scene } from './plan.ts';
import { Qmp } from './qmp.ts';
import { MARK } from './witness.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
const DISK = '24M';
const SLOTS = 8;
const FORMATS = ['raw', 'qcow2'] as const;
const STATE_MS = 60_000;
const LOOK_MS = 20;
const FAST = 1024 * MIB;

/** A guest that has booted: its memory and devices in a file, its disks as they were then, and its command line. */
export interface BootedGuest {
  readonly program: string;
  readonly words: readonly string[];
  readonly name: string;
  readonly dir: string;
  readonly address: string;
  readonly mac: string;
  readonly index: number;
  readonly state: string;
  readonly disks: readonly string[];
  readonly medium: string;
}

/** A guest that goes on from there. */
export interface RestoredGuest {
  readonly name: string;
  readonly address: string;
  readonly mac: string;
  readonly qemu: string;
  readonly tap: string;
}

/** Each is booted in the lab that asks first. */
export class BootedGuests {
  readonly #all = new Map<boolean, Promise<BootedGuest>>();

  of(hasDisks: boolean, lab: Lab): Promise<BootedGuest> {
    const found = this.#all.get(hasDisks) ?? boot(lab, hasDisks);
    this.#all.set(hasDisks, found);
    return found;
  }
}

async function boot(lab: Lab, hasDisks: boolean): Promise<BootedGuest> {
  const name = hasDisks ? 'disks' : 'plain';
  const host = lab.hosts[0] ?? 'a';
  const place = path.join(lab.dir, `booted-${name}`);
  await mkdir(place, { recursive: true });
  const medium = path.join(place, 'first.iso');
  await writeFile(medium, Buffer.alloc(MIB, 'first medium '));
  const disks = hasDisks ? await makeDisks(place) : [];
  const dir = path.join(labHost(lab, host).stateDir, 'guests', name);
  const cd = `if=none,id=cd0,media=cdrom,file=${medium},format=raw,readonly=on`;
  const { address, mac, index } = await startGuest(lab, {
    name,
    host,
    memoryBytes: 128 * MIB,
    workingSetBytes: 12 * MIB,
    dirtyBytesPerSecond: MIB,
    machineType: 'pc',
    kernelWords: [`godwit.disks=${disks.length}`, `godwit.diskslots=${SLOTS}`],
    extraArguments: [
      '-smp',
      '1,maxcpus=2',
      ...disks.flatMap(drive),
      '-drive',
      cd,
      '-device',
      'ide-cd,id=cd0-dev,drive=cd0',
      '-vnc',
      `unix:${dir}/vnc.sock,password=on`,
    ],
  });
  const { path: program } = await chooseQemu(undefined);
  const state = path.join(place, 'state');
  const seen = (await seenQemus(lab)).find((each) => each.guest === name);
  await saveState(guestFiles(dir).witness, state);
  await removeGuest(lab, name, { host, tap: tapName(index) });
  const argv = seen?.argv.slice(1) ?? [];
  // A second QEMU is started by a program that gives it its places.
  const words = argv.slice(argv.findIndex((word) => word === '-name'));
  return { program, words, name, dir, address, mac, index, state, disks, medium };
}

async function makeDisks(place: string): Promise<string[]> {
  const made: string[] = [];
  for (const [index, format] of FORMATS.entries()) {
    const file = path.join(place, `disk${index}.${format}`);
    await run('qemu-img', ['create', '-q', '-f', format, file, DISK]);
    await run('qemu-io', ['-f', format, '-c', `write ${MARK}`, file]);
    made.push(file);
  }
  return made;
}

function drive(file: string, index: number): string[] {
  const format = path.extname(file).slice(1);
  const id = `disk${index}`;
  const words = `if=none,id=${id},file=${file},format=${format},cache=none,discard=unmap`;
  // The first disk stops its guest at any error; the second has the default, and stops it only if there is no room.
  const errors = index === 0 ? ',werror=stop,rerror=stop' : '';
  return ['-drive', `${words}${errors}`, '-device', `virtio-blk-pci,id=${id}-dev,drive=${id}`];
}

async function monitorAt(socket: string): Promise<Qmp> {
  for (let left = STATE_MS; left > 0; left -= LOOK_MS) {
    const found = existsSync(socket) ? await Qmp.open(socket) : undefined;
    if (found !== undefined) return found;
    await sleep(LOOK_MS);
  }
  throw new Error(`nothing answers at ${socket}`);
}

async function untilStream(monitor: Qmp): Promise<void> {
  for (let left = STATE_MS; left > 0; left -= LOOK_MS) {
    const { status } = (await monitor.ask('query-migrate')) as { status?: string };
    if (status === 'completed') return;
    if (status === 'failed') throw new Error('the state of a booted guest cannot be kept or read');
    await sleep(LOOK_MS);
  }
  throw new Error('the state of a booted guest is not over in time');
}

async function saveState(socket: string, file: string): Promise<void> {
  const monitor = await monitorAt(socket);
  await monitor.ask('stop');
  await monitor.ask('migrate-set-parameters', { 'max-bandwidth': FAST });
  await monitor.ask('migrate', { uri: `exec:cat >${file}` });
  await untilStream(monitor);
  await monitor.ask('quit').catch(() => undefined);
  monitor.close();
}

export interface RestoreRequest {
  readonly name: string;
  readonly host: string;
  /** Copies of the disks that it booted with. */
  readonly disks: readonly string[];
  readonly medium: string;
  readonly scene: Scene;
}

/** Starts a guest that goes on where the other one was. */
export async function restore(
  lab: Lab,
  booted: BootedGuest,
  wanted: RestoreRequest,
): Promise<RestoredGuest> {
  const { name, host } = wanted;
  const { program, address, index, state } = booted;
  const member = labHost(lab, host);
  const dir = path.join(member.stateDir, 'guests', name);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const tap = tapName(index);
  await buildNetwork(lab, guestPortSteps(lab, host, tap, { address }), undefined);
  const argv = [program, ...wordsOf(booted, wanted, dir), '-incoming', 'defer'];
  const files = guestFiles(dir);
  await startDetached(inHost(lab, host, argv), { logFile: files.log, env: labEnvironment(lab) });
  const monitor = await monitorAt(files.witness);
  await monitor.ask('migrate-incoming', { uri: `exec:cat ${state}` });
  await untilStream(monitor);
  await monitor.ask('cont');
  monitor.close();
  return { name, address, mac: booted.mac, qemu: program, tap };
}

/** The command line of the guest that booted, with the places, the name and the disks of this one. */
function wordsOf(
  booted: BootedGuest,
  { name, disks, medium, scene }: RestoreRequest,
  dir: string,
): string[] {
  const words = booted.words.map((word, at) => {
    const option = booted.words[at - 1];
    if (option === '-name') return word.replace(booted.name, name);
    if (option === '-uuid') return randomUUID();
    if (option === '-device' && word.startsWith('virtio-blk') && scene.isShareRw)
      return `${word},share-rw=on`;
    const files = booted.disks.map((file, index) => [file, disks[index] ?? ''] as const);
    const places = [[booted.dir, dir], [booted.medium, medium], ...files] as const;
    return places.reduce((text, [from, to]) => text.replaceAll(from, to), word);
  });
  return [...words, ...(scene.noShutdown ? ['-no-shutdown'] : [])];
}

/** Ends a guest wherever it is, with its ports and its files on every host. */
export async function removeGuest(
  lab: Lab,
  name: string,
  first: { readonly host: string; readonly tap: string },
): Promise<void> {
  const own = async () => (await seenQemus(lab)).filter(({ guest }) => guest === name);
  const seen = await own();
  await endProcesses(own, { graceMs: 1000 });
  for (const member of lab.members) {
    const taps = seen.filter(({ host }) => host === member.name).flatMap(({ taps: all }) => all);
    if (member.name === first.host) taps.push(first.tap);
    for (const tap of new Set(taps)) await removeTap(lab, member, tap);
    await rm(path.join(member.stateDir, 'guests', name), { recursive: true, force: true });
  }
}
