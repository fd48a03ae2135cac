import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { startGuest } from '../lab/guest/start.ts';
import { labHost, type Lab } from '../lab/state.ts';
import { readJournals } from '../src/host/journal/journal.ts';
import { sourceMoverRequest } from '../src/protocol/mover/request.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { godwitMigrate } from './godwit.ts';
import { otherHost, untilQuiet, withLab, witnessedQemu } from './lab.ts';
import { Monitor } from '../lab/witness/monitor.ts';
import { startParts, type StartParts } from './start-phases.ts';
import { streamTimes } from './stream-times.ts';

const GUEST = 'web1';
const DEFAULT_RUNS = 9;
const MAX_MS = 1200;

export const start: Bench = {
  name: 'start',
  summary: 'time from `godwit migrate` to the first byte of memory, in its parts',
  run: (options) =>
    withLab(options, (confined) =>
      withLab(options, (unconfined) => measure(confined, unconfined, options), AS_THE_AGENT),
    ),
};

/** Hosts whose QEMU runs as the agent does: what the confinement of the others costs. */
const AS_THE_AGENT = {
  suffix: 'u',
  configure: () => ({ drivers: { qemu: { user: 'agent' } } }),
} as const;

async function measure(confined: Lab, unconfined: Lab, options: BenchOptions): Promise<Measure[]> {
  const { signal, say } = options;
  const runs = options.runs ?? DEFAULT_RUNS;
  const sides = [
    { lab: confined, called: '', starts: [] as StartParts[] },
    { lab: unconfined, called: 'as the agent: ', starts: [] as StartParts[] },
  ];
  for (const { lab } of sides) await startGuest(lab, { name: GUEST, host: 'a', signal });
  let host = 'a';
  // The first two, one from each host, find caches empty that a host fills once.
  for (let run = -2; run < runs; run += 1) {
    // Side by side in one run, the first of them in turn: the machine is not the same from minute to minute.
    for (const { lab, called, starts } of run % 2 === 0 ? sides : sides.toReversed()) {
      await untilQuiet(lab, signal);
      const parts = await startOnce(lab, host, otherHost(lab, host), signal);
      say(`${called}${describe(parts)}${run < 0 ? '  (warming up)' : ''}`);
      if (run >= 0) starts.push(parts);
    }
    host = otherHost(confined, host);
  }
  const [own, agents] = sides.map(({ starts }) => starts);
  return measures(own ?? [], agents ?? []);
}

async function startOnce(
  lab: Lab,
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<StartParts> {
  const { witness } = await witnessedQemu(lab, GUEST, from);
  const monitor = await Monitor.open(witness, signal);
  try {
    const { report, spawnedAtMs } = await godwitMigrate(lab, { guest: GUEST, to }, signal);
    const { orderedAtMs, activeAtMs } = streamTimes(monitor.events);
    const dir = path.join(labHost(lab, from).stateDir, 'migrations', report.id);
    const request: unknown = JSON.parse(await readFile(path.join(dir, 'request.json'), 'utf8'));
    return startParts({
      spawnedAtMs,
      requestedAtMs: Date.parse(sourceMoverRequest.parse(request).createdAt),
      records: readJournals(dir).source,
      orderedAtMs,
      firstByteAtMs: activeAtMs,
    });
  } finally {
    monitor.close();
  }
}

const PARTS = [
  ['command, and the agent finds the guest', 'commandMs'],
  ['both movers', 'moversMs'],
  ['checks', 'checksMs'],
  ["destination's QEMU", 'destinationMs'],
  ['stream set, sides armed', 'armingMs'],
  ['QEMU connects (TLS)', 'connectingMs'],
] as const satisfies readonly (readonly [string, keyof StartParts])[];

function describe(parts: StartParts): string {
  const each = PARTS.map(([name, key]) => `${name} ${parts[key].toFixed(0)}`).join(', ');
  return `${parts.totalMs.toFixed(0).padStart(5)} ms: ${each}`;
}

/** The total's median, held to its target, and each part's; `unconfined`: the starts of a QEMU that runs as the agent. */
export function measures(
  starts: readonly StartParts[],
  unconfined: readonly StartParts[],
): Measure[] {
  const runs = starts.length;
  const of = (key: keyof StartParts): number => median(starts.map((each) => each[key]));
  return [
    {
      name: '`godwit migrate` to the first byte',
      value: of('totalMs'),
      unit: 'ms',
      runs,
      target: { atMost: MAX_MS },
    },
    ...PARTS.map(([name, key]): Measure => ({
      name: `  ${name}`,
      value: of(key),
      unit: 'ms',
      runs,
    })),
    {
      name: 'the same, QEMU as the agent',
      value: median(unconfined.map(({ totalMs }) => totalMs)),
      unit: 'ms',
      runs: unconfined.length,
    },
    {
      name: "  its destination's QEMU",
      value: median(unconfined.map(({ destinationMs }) => destinationMs)),
      unit: 'ms',
      runs: unconfined.length,
    },
    {
      name: 'slowest of all',
      value: Math.max(...starts.map(({ totalMs }) => totalMs)),
      unit: 'ms',
      runs,
    },
  ];
}
