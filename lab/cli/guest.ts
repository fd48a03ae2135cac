import { managerOfGuests } from '../plan.ts';
import { registerAddresses } from '../guest/addresses.ts';
import { placesOf, type DiskRequest } from '../guest/disks.ts';
import { startGuest } from '../guest/start.ts';
import { labGuest } from '../guest/registry.ts';
import { stopGuest } from '../guest/stop.ts';
import { readGuestStats, verifyGuest } from '../guest/talk.ts';
import { startDomain, stopDomain } from '../libvirt/guest.ts';
import { openProbe, type ClientView } from '../probe/probe.ts';
import type { Lab } from '../state.ts';
import { openLab } from '../up.ts';
import { imagesInUse, writersOf } from '../witness/locks.ts';
import {
  formatBytes,
  formatDuration,
  formatRate,
  parseBytes,
} from '../../src/protocol/quantity.ts';
import { ERRORS, godwitError } from '../../src/errors.ts';
import { printJson, type Context } from '../../src/cli/context.ts';
import type { Run } from '../../src/cli/verb.ts';
import { inLab, interruptible, labName } from './network.ts';
import type { labClientSpec, labGuestSpec, labStopSpec, labVerifySpec } from './specs.ts';

/** The guest's load writes to places this far apart and more. */
const MIN_DISK_BYTES = 16 * 1024 ** 2;

function theLab(given: string | undefined, context: Context): Promise<Lab> {
  return openLab(labName(given, context));
}

export const start: Run<typeof labGuestSpec> = async (input, context) => {
  const { flags } = input;
  const lab = await theLab(flags.lab, context);
  const guest = await interruptible(context, (signal) =>
    startIn(lab)(lab, {
      name: input.args.guest,
      host: flags.host ?? 'a',
      memoryBytes: flags.memory,
      workingSetBytes: flags.workingSet,
      dirtyBytesPerSecond: flags.dirty,
      disks: flags.disk === undefined ? undefined : [diskOf(flags.disk)],
      diskBytesPerSecond: flags.diskRate,
      vlan: flags.vlan,
      load: flags.load,
      freePageHint: flags.freePageHint,
      qemu: flags.qemu,
      machineType: flags.machine,
      signal,
    }),
  );
  await registerAddresses(lab);
  if (input.json) return printJson(context, guest);
  const set = `${formatBytes(guest.staticBytes + guest.dirtyBytes)} checksummed`;
  const dirty =
    guest.dirtyBytesPerSecond === 0
      ? 'none of it rewritten'
      : `${formatBytes(guest.dirtyBytes)} of it rewritten at ${formatRate(guest.dirtyBytesPerSecond)}`;
  context.out.write(
    `${guest.name} runs on ${guest.startedOn} at ${guest.address}: ${formatBytes(guest.memoryBytes)}, ` +
      `${set}, ${dirty} (QEMU ${guest.qemuVersion}, ${guest.machineType}, ${guest.accelerator})\n`,
  );
  const other = lab.hosts.find((host) => host !== guest.startedOn);
  if (other !== undefined) {
    context.out.write(`\nNext: godwit migrate ${guest.name} --to ${other}${inLab(flags.lab)}\n`);
  }
};

/** A lab's guests are its manager's, where one runs them. */
function startIn(lab: Lab): typeof startGuest {
  return managerOfGuests(lab) === undefined ? startGuest : startDomain;
}

/** The hosts that hold the lock to write to any of its disks: one, wherever it runs. */
async function writersOfDisks(lab: Lab, name: string): Promise<string[]> {
  const { disks = [], startedOn } = await labGuest(lab, name);
  if (disks.length === 0) return [];
  const made = disks.flatMap((file) => placesOf(lab, startedOn, file));
  const files = new Set([...made, ...(await imagesInUse(lab, name))]);
  const each = await Promise.all([...files].map((file) => writersOf(lab, name, file)));
  return [...new Set(each.flat())];
}

/** `2G` or `2G,thin`. */
function diskOf(text: string): DiskRequest {
  const [size = '', ...words] = text.split(',');
  const what = `${text} is no disk`;
  const wrong = godwitError(
    'GODWIT_USAGE',
    { what },
    { hint: 'Say --disk 2G, or --disk 2G,thin.' },
  );
  if (words.length > 1 || (words.length === 1 && words[0] !== 'thin')) throw wrong;
  const bytes = parseBytes(size);
  if (bytes < MIN_DISK_BYTES || bytes % 512 !== 0) throw wrong;
  return { bytes, thin: words.length === 1 };
}

export const stop: Run<typeof labStopSpec> = async (input, context) => {
  const { guest } = input.args;
  const lab = await theLab(input.flags.lab, context);
  await (managerOfGuests(lab) === undefined ? stopGuest : stopDomain)(lab, guest);
  if (input.json) return printJson(context, { guest, stopped: true });
  context.out.write(`${guest} is stopped\n`);
};

export const verify: Run<typeof labVerifySpec> = async (input, context) => {
  const { guest } = input.args;
  const lab = await theLab(input.flags.lab, context);
  const found = await interruptible(context, async (signal) => ({
    writers: await writersOfDisks(lab, guest),
    ...(await verifyGuest(lab, guest, { signal })),
    ...(await readGuestStats(lab, guest, { signal })),
  }));
  const { ok, hash, badChunks, diskChunks, badDiskChunks, database, bootId } = found;
  const { dirtiedBytes, dirtyingMs } = found;
  const dirtyBytesPerSecond = dirtyingMs === 0 ? 0 : Math.round((dirtiedBytes / dirtyingMs) * 1000);
  if (input.json) {
    const disks = { diskChunks, badDiskChunks, database, writers: found.writers };
    printJson(context, { guest, ok, hash, badChunks, ...disks, bootId, dirtyBytesPerSecond });
  } else {
    const parts = diskChunks === 0 && database === undefined ? 'memory is' : 'memory and disks are';
    const verdict = ok ? `${parts} what was written` : 'NOT WHAT WAS WRITTEN';
    const rows =
      database === undefined
        ? ''
        : `, ${database.rows - database.badRows} of ${database.rows} rows there after ${database.commits} transactions`;
    const rate = dirtyBytesPerSecond === 0 ? '' : `, dirtied at ${formatRate(dirtyBytesPerSecond)}`;
    context.out.write(`${guest}: ${verdict} (checksum ${hash}${rate}${rows})\n`);
  }
  return ok ? 0 : ERRORS.GODWIT_STEP_FAILED.exit;
};

export const client: Run<typeof labClientSpec> = async (input, context) => {
  const { guest } = input.args;
  const lab = await theLab(input.flags.lab, context);
  const probe = await interruptible(context, (signal) => openProbe(lab, guest, { signal }));
  const view = await probe.read();
  await (input.flags.stop ? probe.stop() : probe.mark());
  if (input.json) printJson(context, shortView(guest, view));
  else context.out.write(describe(guest, view));
};

function shortView(guest: string, view: ClientView): object {
  const { connectionKept, clientGapMs, typicalGapMs, ownStallMs } = view;
  const { sent, received, lost, doubled, localPort } = view;
  return {
    guest,
    connectionKept,
    clientGapMs,
    typicalGapMs,
    ownStallMs,
    sent,
    received,
    lost,
    doubled,
    localPort,
  };
}

function describe(guest: string, view: ClientView): string {
  const kept = view.connectionKept ? 'kept' : `lost (${view.reason ?? 'answers do not add up'})`;
  return (
    `${guest}: connection ${kept}, longest gap ${formatDuration(view.clientGapMs)} ` +
    `in the last ${formatDuration(view.sinceMarkMs)} (usually ${formatDuration(view.typicalGapMs)}), ` +
    `${view.received} answers, ${view.lost} lost, ${view.doubled} doubled\n`
  );
}
