import { startGuest } from '../lab/guest/start.ts';
import { verifyGuest } from '../lab/guest/talk.ts';
import { openProbe } from '../lab/probe/probe.ts';
import type { Lab } from '../lab/state.ts';
import type { Report } from '../src/protocol/public/migration.ts';
import { partSites, siteConfig, SiteRelay } from '../test/e2e/support/sites.ts';
import { median, onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { godwitMigrate } from './godwit.ts';
import { evacuations } from './sites-evacuation.ts';
import { relayAlone } from './sites-relay.ts';
import { otherHost, untilDirtied, untilQuiet, withLab } from './lab.ts';
import { forgetAll } from './wire-move.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const GB = 1e9;
/** 100 Mbit/s. */
const THIN_LINK = 12_500_000;
const ROUND_TRIPS_MS = { '50': 50, '150': 150 } as const;
const DEFAULT_RUNS = 3;
const GUEST = 'web1';
const MAX_DOWNTIME_MS = 300;
const MOVE_MS = 900_000;
const SETTLE_MS = 120_000;
const WARM_UP_MS = 2000;
/** Guests that move at once through one relay, each of this size. */
const CROWD = 20;
const CROWD_MEMORY = 160 * MIB;

type Side = 'relay' | 'direct';

/** What one move came to. */
interface MoveResult {
  readonly totalMs: number;
  readonly clientGapMs: number;
  readonly linkBytes: number;
}

export const sites: Bench = {
  name: 'sites',
  summary:
    'a move between NATs through a relay, against the same without them; a site evacuated by a deadline [--only]',
  run: async (options) => {
    const parts = [...Object.keys(ROUND_TRIPS_MS), 'crowd', 'relay', 'evacuation'];
    const only = onlyOf(options, parts) ?? parts;
    const measures: Measure[] = [];
    for (const [part, roundTripMs] of Object.entries(ROUND_TRIPS_MS))
      if (only.includes(part)) measures.push(...(await compare(roundTripMs, options)));
    if (only.includes('crowd')) measures.push(...(await crowd(options)));
    if (only.includes('relay'))
      for (const pairs of [1, CROWD]) measures.push(...(await relayAlone(pairs, options)));
    if (only.includes('evacuation')) measures.push(...(await evacuations(options)));
    return measures;
  },
};

/** Both labs are there all the time, so that the processors have the same to do whichever guest moves. */
async function compare(roundTripMs: number, options: BenchOptions): Promise<Measure[]> {
  const thin = { storage: 'local', linkBytesPerSecond: THIN_LINK } as const;
  // A leg has half of the round trip from site to site.
  const parted = {
    ...thin,
    suffix: 'r',
    hosts: 3,
    delayMs: roundTripMs / 2,
    configure: siteConfig,
  };
  return withLab(
    options,
    (far) =>
      withLab(options, (near) => inTurn(far, near, roundTripMs, options), {
        ...thin,
        suffix: 'd',
        delayMs: roundTripMs,
      }),
    parted,
  );
}

async function inTurn(
  far: Lab,
  near: Lab,
  roundTripMs: number,
  options: BenchOptions,
): Promise<Measure[]> {
  const { signal, say } = options;
  await partSites(far, 'c');
  const relay = await SiteRelay.start(far, 'c');
  const labs: Record<Side, Lab> = { relay: far, direct: near };
  for (const lab of Object.values(labs)) await startGuest(lab, { ...guestOf(), signal });
  const moved: Record<Side, MoveResult[]> = { relay: [], direct: [] };
  const { processorMs: before } = await relay.cost();
  let from = 'a';
  for (let run = 0; run < (options.runs ?? DEFAULT_RUNS); run += 1) {
    for (const side of run % 2 === 0
      ? (['relay', 'direct'] as const)
      : (['direct', 'relay'] as const)) {
      const result = await moveCold(labs[side], from, signal);
      say(`${roundTripMs} ms  ${side.padEnd(7)}${describe(result)}`);
      moved[side].push(result);
    }
    from = otherHost(near, from);
  }
  const { processorMs, residentBytes } = await relay.cost();
  for (const lab of Object.values(labs)) await mustHold(lab, GUEST, signal);
  return measuresOf(roundTripMs, moved, { processorMs: processorMs - before, residentBytes });
}

const guestOf = () => ({
  name: GUEST,
  host: 'a',
  memoryBytes: 640 * MIB,
  workingSetBytes: 160 * MIB,
  dirtyBytesPerSecond: 2 * MIB,
  disks: [{ bytes: GIB, thin: true, filledBytes: 300 * MIB }],
  diskBytesPerSecond: 0,
});

/** With nothing that the other host knows of the guest, as a first move between two sites is. */
async function moveCold(lab: Lab, from: string, signal: AbortSignal): Promise<MoveResult> {
  await untilQuiet(lab, signal);
  await forgetAll(lab);
  const client = await openProbe(lab, GUEST, { signal });
  await untilDirtied(lab, { name: GUEST, dirtyBytesPerSecond: 2 * MIB }, WARM_UP_MS, signal);
  await client.mark();
  const words = ['--path', 'wire', '--max-downtime', `${MAX_DOWNTIME_MS}ms`];
  const to = otherHost(lab, from);
  const { report } = await godwitMigrate(
    lab,
    { guest: GUEST, to, words, deadlineMs: MOVE_MS },
    signal,
  );
  const seen = await client.settle(SETTLE_MS, signal);
  await client.stop();
  if (!seen.connectionKept) throw new Error(`the client's connection broke: ${seen.reason ?? ''}`);
  return { totalMs: totalOf(report), clientGapMs: seen.clientGapMs, linkBytes: bytesOf(report) };
}

function totalOf({ totalMs }: Report): number {
  if (totalMs === undefined) throw new Error('the report has no total time');
  return totalMs;
}

/** Of memory and of the disk. A move without either by the wire would measure something else. */
function bytesOf({ wire, diskLink }: Report): number {
  if (wire === undefined) throw new Error('the memory did not go over the wire');
  return (wire.linkBytes ?? 0) + (diskLink?.linkBytes ?? 0);
}

/** Many small guests at once through one relay: what it holds in memory for them. */
async function crowd(options: BenchOptions): Promise<Measure[]> {
  const { signal, say } = options;
  const limits = { limits: { migrationsIn: CROWD, migrationsOut: CROWD } };
  const configure = (host: string) => ({ ...siteConfig(host), ...limits });
  const request = {
    suffix: 'c',
    storage: 'local',
    linkBytesPerSecond: THIN_LINK,
    configure,
  } as const;
  return withLab(
    options,
    async (lab) => {
      await partSites(lab);
      const relay = await SiteRelay.start(lab);
      const names = Array.from({ length: CROWD }, (_, index) => `many${index}`);
      const guest = { host: 'a', memoryBytes: CROWD_MEMORY, workingSetBytes: 16 * MIB } as const;
      for (const name of names) await startGuest(lab, { ...guest, name, signal });
      say(`${CROWD} guests move at once`);
      const words = ['--path', 'wire'];
      const moves = names.map((name) =>
        godwitMigrate(lab, { guest: name, to: 'b', words, deadlineMs: MOVE_MS }, signal),
      );
      const linkBytes = (await Promise.all(moves)).reduce(
        (sum, { report }) => sum + bytesOf(report),
        0,
      );
      const { residentBytes, processorMs } = await relay.cost();
      for (const name of names) await mustHold(lab, name, signal);
      say(`relay: ${processorMs} ms of processor for ${(linkBytes / MIB).toFixed(0)} MiB`);
      return [memoryOf(`relay's memory, ${CROWD} moves at once`, residentBytes, CROWD)];
    },
    request,
  );
}

async function mustHold(lab: Lab, guest: string, signal: AbortSignal): Promise<void> {
  const found = await verifyGuest(lab, guest, { signal });
  if (!found.ok) throw new Error(`${guest} is not what it was: ${JSON.stringify(found)}`);
}

function measuresOf(
  roundTripMs: number,
  moved: Record<Side, readonly MoveResult[]>,
  relay: { readonly processorMs: number; readonly residentBytes: number },
): Measure[] {
  const middle = (side: Side, of: (move: MoveResult) => number) => median(moved[side].map(of));
  const total = (side: Side) => middle(side, ({ totalMs }) => totalMs);
  const gap = (side: Side) => middle(side, ({ clientGapMs }) => clientGapMs);
  const runs = moved.relay.length;
  const passed = moved.relay.reduce((sum, { linkBytes }) => sum + linkBytes, 0);
  const at = `${roundTripMs} ms`;
  return [
    {
      name: `${at}: total time, relay / direct`,
      value: total('relay') / total('direct'),
      unit: 'x',
      runs,
      target: { atMost: 1.05 },
    },
    {
      name: `${at}: client gap, relay - direct`,
      value: gap('relay') - gap('direct'),
      unit: 'ms',
      runs,
      target: { atMost: 2 * roundTripMs },
    },
    { name: `${at}: total time, relay`, value: total('relay') / 1000, unit: 's', runs },
    { name: `${at}: total time, direct`, value: total('direct') / 1000, unit: 's', runs },
    { name: `${at}: client gap, relay`, value: gap('relay'), unit: 'ms', runs },
    { name: `${at}: client gap, direct`, value: gap('direct'), unit: 'ms', runs },
    {
      name: `${at}: relay's processor`,
      value: relay.processorMs / 1000 / (passed / GB),
      unit: 's/GB',
      runs,
      target: { atMost: 2 },
    },
    memoryOf(`${at}: relay's memory`, relay.residentBytes, runs),
  ];
}

const memoryOf = (name: string, bytes: number, runs: number): Measure => ({
  name,
  value: bytes / 1e6,
  unit: 'MB',
  runs,
  target: { atMost: 100 },
});

function describe({ totalMs, clientGapMs, linkBytes }: MoveResult): string {
  const mib = (linkBytes / MIB).toFixed(1);
  return `${(totalMs / 1000).toFixed(1)} s, client gap ${clientGapMs.toFixed(0)} ms, ${mib} MiB over the link`;
}
