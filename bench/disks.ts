import { rm } from 'node:fs/promises';
import { runCommand } from '../lab/command.ts';
import { startGuest } from '../lab/guest/start.ts';
import { verifyGuest } from '../lab/guest/talk.ts';
import type { Lab } from '../lab/state.ts';
import { formatBytes, parseBytes, parseRate } from '../src/protocol/quantity.ts';
import { onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import {
  pairMeasures,
  shareOfNeeded,
  thinMeasures,
  writesMeasures,
  type DiskMove,
  type ThinMove,
} from './disks-figures.ts';
import {
  allocated,
  imageFile,
  measuredMove,
  planned,
  type DiskMoveResult,
  type Side,
} from './disks-move.ts';
import { otherHost, untilQuiet, withLab } from './lab.ts';
import { schedule } from './overhead.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const DEFAULT_RUNS = 7;
const DEFAULT_SIZE = 4 * GIB;
/** So much of the disk holds data: one part in this many. */
const DATA_SHARE = 4;
const WRITE_BYTES_PER_SECOND = 5 * MIB;
/** A link that two processors can fill without being full themselves. */
const LINK_BYTES_PER_SECOND = 125_000_000;
const THIN = { bytes: 20 * GIB, thin: true, filledBytes: 300 * MIB };
const THIN_RUNS = 5;
const GUEST = { host: 'a', memoryBytes: 192 * MIB, workingSetBytes: 8 * MIB } as const;
const COMPARE_MS = 300_000;

export const disks: Bench = {
  name: 'disks',
  summary: 'a move with its disk against the same blockdev-mirror by hand [--size --link --only]',
  run: async (options) => {
    const { link, size } = options.words ?? {};
    const linkBytesPerSecond = link === undefined ? LINK_BYTES_PER_SECOND : parseRate(link);
    const bytes = size === undefined ? DEFAULT_SIZE : parseBytes(size);
    if (bytes < 64 * MIB || bytes % MIB !== 0)
      throw new RangeError('--size takes whole MiB, 64 or more');
    const parts = {
      raw: (lab: Lab) => compare(lab, bytes, options),
      thin: (lab: Lab) => moveThin(lab, options),
    };
    const only = onlyOf(options, Object.keys(parts));
    const measures: Measure[] = [];
    // A lab for each: a guest that follows another has its address, and the client would look for it in vain for a while.
    for (const [name, part] of Object.entries(parts)) {
      if (only !== undefined && !only.includes(name)) continue;
      const request = { linkBytesPerSecond, storage: 'local' } as const;
      measures.push(...(await withLab(options, part, request)));
    }
    return measures;
  },
};

/** Both sides in turn, there and back, one move of each before anything counts. */
async function compare(lab: Lab, bytes: number, options: BenchOptions): Promise<Measure[]> {
  const { signal, say } = options;
  const name = 'db1';
  const filledBytes = bytes / DATA_SHARE;
  say(
    `a raw disk of ${formatBytes(bytes)} with ${formatBytes(filledBytes)} of data is being filled`,
  );
  const disk = { bytes, thin: false, filledBytes };
  const load = { disks: [disk], diskBytesPerSecond: WRITE_BYTES_PER_SECOND };
  await startGuest(lab, { ...GUEST, name, ...load, signal });
  const moved: Record<Side, DiskMove[]> = { godwit: [], hand: [] };
  let from = 'a';
  for (const [index, side] of schedule((options.runs ?? DEFAULT_RUNS) + 1).entries()) {
    const to = otherHost(lab, from);
    const of = { lab, guest: name, image: 'disk0.raw', from, to, signal };
    if (side === 'godwit') await planned(of);
    const result = await measuredMove(of, side);
    await mustHold(lab, name, signal);
    from = to;
    say(`${side.padEnd(7)}${describe(result)}${index < 2 ? '  (warming up)' : ''}`);
    if (index >= 2) moved[side].push(result);
  }
  const of = `${formatBytes(bytes)} raw`;
  return [...pairMeasures(of, moved.godwit, moved.hand), ...writesMeasures(of, moved.godwit)];
}

/** The guest writes nothing to it, so that both images must be the same at the end. */
async function moveThin(lab: Lab, options: BenchOptions): Promise<Measure[]> {
  const { signal, say } = options;
  const name = 'thin1';
  await startGuest(lab, { ...GUEST, name, disks: [THIN], diskBytesPerSecond: 0, signal });
  const moved: ThinMove[] = [];
  let from = 'a';
  for (let run = 0; run < Math.min(THIN_RUNS, options.runs ?? THIN_RUNS); run += 1) {
    const to = otherHost(lab, from);
    const of = { lab, guest: name, image: 'disk0.qcow2', from, to, signal };
    const allocatedBefore = await allocated(imageFile(of, from));
    const result = await measuredMove({ ...of, words: ['--keep-source'] }, 'godwit');
    await untilQuiet(lab, signal);
    const kept = `${imageFile(of, from)}.moved-${result.report?.id ?? ''}`;
    await mustBeTheSame(kept, imageFile(of, to), signal);
    await rm(kept);
    moved.push({ ...result, allocatedBefore, allocatedAfter: await allocated(imageFile(of, to)) });
    say(`thin   ${describe(result)}`);
    from = to;
  }
  return thinMeasures('20 GiB thin with 300 MiB', moved);
}

async function mustHold(lab: Lab, guest: string, signal: AbortSignal): Promise<void> {
  const found = await verifyGuest(lab, guest, { signal });
  if (!found.ok || found.diskChunks === 0) {
    throw new Error(`the guest's memory or disk is not what it was: ${JSON.stringify(found)}`);
  }
}

async function mustBeTheSame(kept: string, image: string, signal: AbortSignal): Promise<void> {
  const formats = ['-f', 'qcow2', '-F', 'qcow2'];
  const argv = ['qemu-img', 'compare', '-U', ...formats, kept, image];
  await runCommand(argv, { signal, deadlineMs: COMPARE_MS });
}

function describe(moved: DiskMoveResult): string {
  const { totalMs, clientGapMs, linkBytes, memoryBytes, rewrittenBytes, wallMs, report } = moved;
  const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
  const { linkBytes: reported } = report?.diskLink ?? {};
  const link = reported === undefined ? '' : `, ${mib(reported)} by the report`;
  const wall = wallMs === undefined ? '' : `, the command ${(wallMs / 1000).toFixed(1)} s`;
  return (
    `${(totalMs / 1000).toFixed(2)} s, client gap ${clientGapMs.toFixed(0)} ms, ` +
    `link ${mib(linkBytes - memoryBytes)} and ${mib(memoryBytes)} of memory, ` +
    `${mib(rewrittenBytes)} rewritten: ${shareOfNeeded(moved).toFixed(3)} x${link}${wall}`
  );
}
