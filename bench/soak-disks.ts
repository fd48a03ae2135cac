import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { startGuest } from '../lab/guest/start.ts';
import { readGuestStats } from '../lab/guest/talk.ts';
import { openProbe } from '../lab/probe/probe.ts';
import { storageDirectory, type Lab } from '../lab/state.ts';
import { writersOf } from '../lab/witness/locks.ts';
import { runningOn } from '../lab/witness/qemus.ts';
import { systemClock } from '../src/clock.ts';
import { withDeadline } from '../src/deadline.ts';
import type { Mode } from '../src/protocol/public/migration.ts';
import type { Bench, BenchOptions, Measure } from './contract.ts';
import { godwitMigrate } from './godwit.ts';
import { withLab } from './lab.ts';
import {
  askGuest,
  connectionProblems,
  possibleModes,
  toAndFro,
  wordProblems,
  type GuestWord,
  type MoveResult,
} from './soak.ts';
import type { HostTally } from './tally-compare.ts';
import { takeTally } from './tally.ts';

const GUEST = 'db1';
const MIB = 1024 ** 2;
const DEFAULT_RUNS = 100;
/** What each holds beside what the guest writes to it. */
const FILLED_BYTES = 64 * MIB;
const DISKS = [
  { bytes: 2048 * MIB, thin: true, filledBytes: FILLED_BYTES },
  { bytes: 256 * MIB, thin: false, filledBytes: FILLED_BYTES },
];
/** The first has the database. */
const IMAGES = ['disk0.qcow2', 'disk1.raw'];
/** As often as this it writes to the other disk before a move, and so many transactions does it commit. */
const WRITES_BEFORE = 20;
const COMMITS_BEFORE = 10;
const WRITE_BYTES = 64 * 1024;
const WRITES_MS = 60_000;
const ANSWERS_MS = 60_000;
/** Beside the disks, which are most of it. */
const WORDS = ['--max-downtime', '300ms'];
const HYBRID = ['--hybrid-rounds', '1'];

export const soakDisks: Bench = {
  name: 'soak-disks',
  summary:
    'many moves in a row of one guest whose disks, one with a database, are its host’s alone',
  run: (options) => withLab(options, (lab) => measure(lab, options), { storage: 'local' }),
};

async function measure(lab: Lab, options: BenchOptions): Promise<Measure[]> {
  const { signal, say } = options;
  const runs = options.runs ?? DEFAULT_RUNS;
  const modes = await possibleModes(say);
  await startGuest(lab, {
    name: GUEST,
    host: 'a',
    memoryBytes: 192 * MIB,
    workingSetBytes: 16 * MIB,
    dirtyBytesPerSecond: 2 * MIB,
    disks: DISKS,
    load: 'database',
    signal,
  });
  const course: Course = { lab, first: await askGuest(lab, GUEST, signal), signal };
  return toAndFro(
    lab,
    {
      guest: GUEST,
      modes,
      runs,
      take: tallyWithStorage,
      moveOnce: (mode, to) => moveOnce(course, mode, to),
    },
    options,
  );
}

interface Course {
  readonly lab: Lab;
  readonly first: GuestWord;
  readonly signal: AbortSignal;
}

/** Moves the guest and looks at it and at its disks from all sides. Rejects with what is wrong. */
async function moveOnce(
  { lab, first, signal }: Course,
  mode: Mode,
  to: string,
): Promise<MoveResult> {
  const client = await openProbe(lab, GUEST, { signal });
  try {
    const committed = await untilWritten(lab, signal);
    await client.mark();
    const words = [...WORDS, ...(mode === 'hybrid' ? HYBRID : [])];
    const { report } = await godwitMigrate(lab, { guest: GUEST, to, mode, words }, signal);
    const seen = await client.settle(ANSWERS_MS, signal);
    const now = await askGuest(lab, GUEST, signal);
    const problems = [
      ...connectionProblems(seen),
      ...wordProblems(first, now),
      ...(now.memory.diskChunks === 0 ? ['nothing of its disks was read again'] : []),
      ...databaseProblems(committed, now),
      ...(await whereProblems(lab, to)),
    ];
    if (problems.length > 0) throw new Error(problems.join('; '));
    return { mode, totalMs: report.totalMs, clientGapMs: seen.clientGapMs };
  } finally {
    await client.stop();
  }
}

/** The guest has written to its disks some more. Returns how many transactions it has committed. */
async function untilWritten(lab: Lab, signal: AbortSignal): Promise<number> {
  const was = await readGuestStats(lab, GUEST, { signal });
  return withDeadline(`${GUEST} to write to its disks`, WRITES_MS, signal, async (inner) => {
    for (;;) {
      const is = await readGuestStats(lab, GUEST, { signal: inner });
      const written = is.diskBytes - was.diskBytes >= WRITES_BEFORE * WRITE_BYTES;
      if (written && is.commits - was.commits >= COMMITS_BEFORE) return is.commits;
      await systemClock.sleep(250, inner);
    }
  });
}

/** Each row that was committed is there, by the guest's own reading of its disk. */
function databaseProblems(committed: number, { memory: { database }, stats }: GuestWord): string[] {
  if (database === undefined) return ['its database was not read again'];
  const { commits, rows, badRows, integrity } = database;
  const problems: string[] = [];
  if (badRows > 0) problems.push(`${badRows} of ${rows} rows are lost or differ`);
  if (integrity !== 'ok') problems.push(`the database is not sound: ${integrity}`);
  if (commits < committed) problems.push(`${committed} transactions became ${commits}`);
  if (stats.commitErrors > 0) problems.push('a transaction failed');
  return problems;
}

/** It runs there alone, and only that host's QEMU may write to its images. */
async function whereProblems(lab: Lab, to: string): Promise<string[]> {
  const hosts = await runningOn(lab, GUEST);
  const problems = hosts.join() === to ? [] : [`it runs on ${hosts.join(' and ')}`];
  for (const image of IMAGES) {
    const file = path.join(storageDirectory(lab, to), GUEST, image);
    const writers = await writersOf(lab, GUEST, file);
    if (writers.join() !== to) problems.push(`${image} is locked by ${writers.join(' and ')}`);
  }
  return problems;
}

/** What is counted without disks, and every file on each host's storage. */
async function tallyWithStorage(lab: Lab): Promise<HostTally[]> {
  const tallies = await takeTally(lab);
  return Promise.all(
    tallies.map(async (tally) => {
      const stored = await readdir(storageDirectory(lab, tally.host), { recursive: true });
      return { ...tally, files: [...tally.files, ...stored.map((file) => `storage/${file}`)] };
    }),
  );
}
