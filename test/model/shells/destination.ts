import { mock } from 'node:test';
import type { DestinationMover } from '../../../src/mover/direct/destination/mover.ts';
import { EPOCH } from '../events.ts';
import { howItFailed } from './answers.ts';
import { callPreparation, destinationParts, stateOf, WRONG } from './destination-ports.ts';
import { Points, type Point, type Script } from './extract.ts';
import { loadShell, type Edit } from './load.ts';

/** What the destination's mover does for each call, by itself and when it takes over, as a table taken from its own code. */

export const DEEDS = [
  'prepare',
  'arm',
  'commit',
  'refuse',
  'release',
  'finish',
  'take over',
  'after silence',
  'after long silence',
  'run here, as ordered',
] as const;
export type Deed = (typeof DEEDS)[number];

export interface DestinationTable {
  readonly points: readonly Point[];
  readonly deeds: Readonly<Record<Deed, number>>;
  /** How often the code was run for it. */
  readonly runs: number;
}

/** Silence that is worth a question to the source's agent, and silence that outlasts every lease, ms. */
const SILENCE_MS = { 'after silence': 15_000, 'after long silence': 500_000 } as const;

type Mover = typeof DestinationMover;

/** What it does for its source's calls. */
const CALLS = ['prepare', 'arm', 'commit', 'refuse', 'release', 'finish'] as const;

/** The table of the product. */
export const destinationTable = (): Promise<DestinationTable> => tableOf(DEEDS);

/** The same with the product broken in one place: what it does for calls is taken anew, the rest is as it was. */
export const brokenDestination = (real: DestinationTable, edit: Edit): Promise<DestinationTable> =>
  tableOf(CALLS, edit, real);

async function tableOf(
  anew: readonly Deed[],
  edit?: Edit,
  real?: DestinationTable,
): Promise<DestinationTable> {
  const { DestinationMover: Mover } = await loadShell<{ DestinationMover: Mover }>(
    'src/mover/direct/destination/mover.ts',
    edit,
  );
  const limit = Error.stackTraceLimit;
  // Most runs end in an error that somebody made up.
  Error.stackTraceLimit = 0;
  const points = new Points(real?.points);
  const deeds: Partial<Record<Deed, number>> = { ...real?.deeds };
  let lease: (() => void) | undefined;
  const every = mock.method(globalThis, 'setInterval', (run: () => void) => {
    lease = run;
    return { unref: () => undefined };
  });
  try {
    for (const deed of anew) {
      deeds[deed] = await points.from(async (script) => {
        const watch = { silentMs: 0, failed: false };
        const mover = new Mover(destinationParts(script, watch), stateOf(script));
        script.onClose(() => void mover.close().catch(() => undefined));
        try {
          await doIt(deed, mover, script, { watch, tick: () => lease?.() });
          return watch.failed ? 'other' : 'done';
        } catch (thrown) {
          return howItFailed(thrown, script);
        }
      });
    }
  } finally {
    every.mock.restore();
    Error.stackTraceLimit = limit;
  }
  return { points: points.all, deeds: deeds as Record<Deed, number>, runs: points.runs };
}

interface Lease {
  readonly watch: { silentMs: number };
  readonly tick: () => void;
}

async function doIt(
  deed: Deed,
  mover: DestinationMover,
  script: Script,
  { watch, tick }: Lease,
): Promise<void> {
  const { signal } = script;
  switch (deed) {
    case 'take over':
      await mover.start(true);
      return turnsOf(mover);
    case 'after silence':
    case 'after long silence':
      await mover.start(false);
      watch.silentMs = SILENCE_MS[deed];
      tick();
      return turnsOf(mover);
    case 'run here, as ordered':
      await mover.resolve({ runAt: 'destination', proof: 'fenced', by: 'ann' });
      return;
    default:
  }
  const epoch = script.fact('epoch', ['this', 'earlier']) === 'this' ? EPOCH : WRONG;
  switch (deed) {
    case 'prepare':
      await mover.prepare({ ...callPreparation(), epoch }, signal);
      return;
    case 'arm':
      await mover.arm(epoch);
      return;
    case 'refuse':
      return mover.refuse(epoch);
    case 'commit':
      await mover.commit(epoch, signal);
      return;
    default:
      return mover[deed](epoch, signal);
  }
}

/** No migration has it. */
const NEVER = -1;

/** All that it has begun has had its turn: a call whose epoch is wrong is refused when its own comes. */
async function turnsOf(mover: DestinationMover): Promise<void> {
  await mover.refuse(NEVER).catch(() => undefined);
}
