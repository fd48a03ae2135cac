import { mkdtempSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { MS_PER_TICK, readStat } from '../src/system/processes/process.ts';
import { builtDeb } from '../test/e2e/support/built-deb.ts';
import { bringDebian13 } from '../test/e2e/support/clean-root.ts';
import {
  addHost,
  makeNext,
  openCleanHosts,
  setUpFirst,
  startPlainGuest,
  untilKnown,
  upgrade,
  type CleanHost,
  type CleanHosts,
} from '../test/e2e/support/clean-hosts.ts';
import { onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';

/** As on a data sheet: MB are 10^6 bytes. */
const MB = 1e6;
const GUESTS = 20;
const IDLE_MS = 60_000;
const SETTLE_MS = 20_000;
const DEFAULT_UPGRADES = 30;
/** So slow that the memory of the guest is on its way for longer than the upgrades of two hosts take. */
const RATE = '4mbit';

export const firstHour: Bench = {
  name: 'first-hour',
  summary:
    'from three clean Debians to the first move; an idle agent with 20 guests; upgrades under moving guests',
  run: async (options) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'godwit-first-hour-'));
    let world: CleanHosts | undefined;
    try {
      options.say('bringing a clean Debian 13');
      bringDebian13();
      options.say('building the package');
      const deb = builtDeb(folder);
      world = await openCleanHosts(['a', 'b', 'c'], deb);
      return await measure(world, statSync(deb).size, options);
    } finally {
      await world?.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

/** Parts that `--only` may name; the first move is made in any case, since the others begin with three hosts. */
const PARTS = ['first-move', 'idle', 'upgrades'] as const;

async function measure(
  world: CleanHosts,
  debBytes: number,
  options: BenchOptions,
): Promise<Measure[]> {
  const only = onlyOf(options, PARTS);
  const wants = (part: (typeof PARTS)[number]): boolean =>
    only === undefined || only.includes(part);
  const measures = await firstMoves(world, debBytes, options);
  if (wants('idle')) measures.push(...(await idleAgent(world.host('a'), options)));
  if (wants('upgrades')) measures.push(await upgradesUnderMoves(world, options));
  return measures;
}

const once = (name: string, value: number, unit: string, atMost?: number): Measure => ({
  name,
  value,
  unit,
  runs: 1,
  ...(atMost === undefined ? {} : { target: { atMost } }),
});

/** From the bare hosts to a guest that has moved twice. */
async function firstMoves(
  world: CleanHosts,
  debBytes: number,
  { say }: BenchOptions,
): Promise<Measure[]> {
  const [a, b] = [world.host('a'), world.host('b')];
  await startPlainGuest(a, 'web1');
  const began = performance.now();
  const soFar = () => ({
    commands: world.typed.length,
    minutes: (performance.now() - began) / 60_000,
  });
  await setUpFirst(world, 'a');
  await addHost(world, 'a', 'b');
  await world.type('a', 'godwit migrate web1 --to b');
  const first = soFar();
  say(`first move: ${first.commands} commands, ${(first.minutes * 60).toFixed(1)} s`);
  await addHost(world, 'a', 'c');
  await untilKnown(b, 'c');
  await world.type('b', 'godwit migrate web1 --to c');
  const all = soFar();
  return [
    once('commands to the first move', first.commands, '', 10),
    once('time to the first move', first.minutes, 'min', 5),
    once('commands for three hosts and two moves', all.commands, ''),
    once('time for three hosts and two moves', all.minutes, 'min'),
    once('downloaded by each host', debBytes / MB, 'MB', 60),
  ];
}

const ended = z.object({ phase: z.string(), outcome: z.string(), takeovers: z.number() });

/** Both hosts of each move are upgraded, or go back, while the guest's memory is on its way. */
async function upgradesUnderMoves(
  world: CleanHosts,
  { runs, signal, say }: BenchOptions,
): Promise<Measure> {
  const upgrades = runs ?? DEFAULT_UPGRADES;
  for (const host of world.hosts) await makeNext(host);
  const names = ['c', 'a', 'b'];
  let [made, failed] = [0, 0];
  for (let move = 0; made < upgrades; move += 1) {
    signal.throwIfAborted();
    const source = world.host(names[move % 3] ?? '');
    const to = world.host(names[(move + 1) % 3] ?? '');
    const deb = Math.floor(move / 3) % 2 === 0 ? '/next.deb' : '/godwit.deb';
    await untilKnown(source, to.name);
    const said = await source.does(
      `godwit migrate web1 --to ${to.name} --max-bandwidth ${RATE} --max-downtime 1s --detach`,
    );
    const id = /m-[0-9a-z]+/.exec(said)?.[0] ?? '';
    await Promise.all([upgrade(source, deb), upgrade(to, deb)]);
    const look = async () =>
      ended.parse(JSON.parse(await source.does(`godwit report ${id} --json`)));
    const { phase } = await look();
    await source.run(`godwit watch ${id}`);
    const { outcome, takeovers } = await look();
    // One that was over before the upgrades were shows nothing of them.
    const counts = phase !== 'done';
    if (counts) made += 2;
    if (outcome !== 'done') failed += 1;
    say(
      `${source.name} to ${to.name}: ${outcome}, ${takeovers} takeovers; upgraded in ${phase}${counts ? '' : ' (not counted)'}`,
    );
  }
  return { ...once('migrations that an upgrade failed', failed, '', 0), runs: made };
}

/** What the agent of a host takes that has guests, and nothing to do. */
async function idleAgent(host: CleanHost, { signal, say }: BenchOptions): Promise<Measure[]> {
  for (let guest = 1; guest <= GUESTS; guest += 1) await startPlainGuest(host, `idle${guest}`);
  await pause(SETTLE_MS, signal);
  const before = await usedBy(host);
  await pause(IDLE_MS, signal);
  const after = await usedBy(host);
  const percent = ((after.cpuMs - before.cpuMs) / IDLE_MS) * 100;
  say(
    `the agent of ${host.name}: ${(after.bytes / MB).toFixed(1)} MB, ${percent.toFixed(2)} % of a core`,
  );
  return [
    once(`agent with ${GUESTS} guests, resident`, after.bytes / MB, 'MB', 100),
    once(`agent with ${GUESTS} guests, of a core`, percent, '%', 0.5),
  ];
}

/** Of a host's agent: processor time so far, and what is resident of it. */
async function usedBy(host: CleanHost): Promise<{ cpuMs: number; bytes: number }> {
  const pid = await host.agentPid();
  const stat = readStat(await host.does(`cat /proc/${pid}/stat`));
  const status = await host.does(`cat /proc/${pid}/status`);
  const kib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  return { cpuMs: (stat?.usedTicks ?? 0) * MS_PER_TICK, bytes: kib * 1024 };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}
