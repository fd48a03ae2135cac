/** Something random dies every few seconds: a mover, an agent, the connections of a host, or its link for a while. */
import { systemClock } from '../../src/clock.ts';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { runCommand } from '../../lab/command.ts';
import { inHost } from '../../lab/entry.ts';
import { portNames } from '../../lab/network-plan.ts';
import { processesInNamespaces, signalProcess, type LabProcess } from '../../lab/processes.ts';
import type { Lab } from '../../lab/state.ts';
import { Batch } from '../inject/batch.ts';
import type { PowerCuts } from './power-cuts.ts';

export const DEATHS = ['mover', 'agent', 'connections', 'link', 'power'] as const;
export type Death = (typeof DEATHS)[number];

export interface RandomKills {
  readonly lab: Lab;
  readonly signal: AbortSignal;
  /** 0 <= chance < 1, another each time. */
  readonly next: () => number;
  readonly say: (text: string) => void;
  /** Absent: no host loses its power. */
  readonly cuts?: PowerCuts | undefined;
}

const PAUSE_MS = { least: 1500, most: 4500 };
const AGENT_DOWN_MS = { least: 300, most: 2000 };
const LINK_DOWN_MS = { least: 300, most: 4000 };

/** Kills until it is told to stop; what is dead then is brought back first. Returns how often each died. */
export async function killAtRandom(given: RandomKills): Promise<Record<Death, number>> {
  const counts: Record<Death, number> = { mover: 0, agent: 0, connections: 0, link: 0, power: 0 };
  const between = ({ least, most }: { least: number; most: number }): number =>
    least + given.next() * (most - least);
  const ip = new Batch(given.lab, 'ip', 'switch');
  try {
    while (!given.signal.aborted) {
      await systemClock.sleep(between(PAUSE_MS), given.signal).catch(() => {});
      if (given.signal.aborted) break;
      const death = deathOf(given.next(), given.cuts !== undefined);
      const host = given.lab.hosts[Math.floor(given.next() * given.lab.hosts.length)] ?? 'a';
      given.say(`${death} of ${host}`);
      if (await strike(given, { death, host, ip, between })) counts[death] += 1;
    }
  } finally {
    await ip.end();
  }
  return counts;
}

/** Movers die more often than the rest: there are the most of them. */
export function deathOf(chance: number, withPower: boolean): Death {
  if (withPower && chance < 0.06) return 'power';
  if (chance < 0.5) return 'mover';
  if (chance < 0.7) return 'agent';
  return chance < 0.85 ? 'connections' : 'link';
}

interface Blow {
  readonly death: Death;
  readonly host: string;
  readonly ip: Batch;
  readonly between: (range: { least: number; most: number }) => number;
}

/** False where there was nothing to kill. */
async function strike({ lab, next, cuts }: RandomKills, blow: Blow): Promise<boolean> {
  const { death, host, ip, between } = blow;
  // Its agent and its links end and begin with its power.
  if (cuts?.host === host && death !== 'mover') return false;
  switch (death) {
    case 'mover': {
      const living = await movers(lab);
      const chosen = living[Math.floor(next() * living.length)];
      if (chosen !== undefined) signalProcess(chosen.pid, 'SIGKILL');
      return chosen !== undefined;
    }
    case 'agent':
      await stopAgent(lab, host, 'SIGKILL');
      await systemClock.sleep(between(AGENT_DOWN_MS));
      await startAgent(lab, host);
      return true;
    case 'power':
      return cuts?.begin(host) ?? false;
    case 'connections':
      await runCommand(inHost(lab, host, ['ss', '-K', '-t', 'dst', '10.77.0.0/24']));
      return true;
    case 'link':
      ip.write(`link set ${portNames(host).port} down`);
      await systemClock.sleep(between(LINK_DOWN_MS));
      ip.write(`link set ${portNames(host).port} up`);
      return true;
  }
}

async function movers(lab: Lab): Promise<LabProcess[]> {
  const all = await processesInNamespaces(new Set(Object.values(lab.namespaces)));
  return all.filter(({ argv }) => argv.some((word) => word.endsWith('/bin/mover.ts')));
}
