/** The wall clock of one host's Godwit, stepped by an hour: a real clock is the whole machine's, and so every host's. */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { agentsOf, startAgent, stopAgent } from '../../lab/agents.ts';
import { signalProcess } from '../../lab/processes.ts';
import type { Injector, FaultSite } from './injector.ts';

const PRELOAD = fileURLToPath(new URL('clock-preload.ts', import.meta.url));
const HOUR_MS = 3_600_000;

/** The source's agent runs with the preload until the migration has ended, and hands it to its movers. */
export async function stepClock({ lab, from, chance }: FaultSite): Promise<Injector> {
  const stepMs = chance < 0.5 ? HOUR_MS : -HOUR_MS;
  const { NODE_OPTIONS: before } = process.env;
  process.env['NODE_OPTIONS'] = `${before ?? ''} --import ${pathToFileURL(PRELOAD).href}`.trim();
  process.env['GODWIT_FAULTS_CLOCK_STEP_MS'] = String(stepMs);
  try {
    await stopAgent(lab, from);
    await startAgent(lab, from);
  } finally {
    if (before === undefined) delete process.env['NODE_OPTIONS'];
    else process.env['NODE_OPTIONS'] = before;
    delete process.env['GODWIT_FAULTS_CLOCK_STEP_MS'];
  }
  const agent = (await agentsOf(lab, from))[0]?.pid;
  return {
    strike: async ({ source }) => {
      for (const pid of [agent, source.moverPid()]) {
        if (pid !== undefined) signalProcess(pid, 'SIGUSR2');
      }
      return `the clock of ${from} stepped by ${stepMs / 1000} s`;
    },
    clear: async () => {},
    afterwards: async () => {
      await stopAgent(lab, from);
      await startAgent(lab, from);
    },
  };
}
