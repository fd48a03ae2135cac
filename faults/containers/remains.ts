/** What of a container is on hosts where it does not run, and should not be. */
import { systemClock } from '../../src/clock.ts';
import type { Lab } from '../../lab/state.ts';
import { labCensus, type HostCensus } from '../../lab/witness/census.ts';
import { containerLeftovers } from '../../lab/witness/containers.ts';
import { overIn } from '../remains.ts';

/** A mover that answers once more for what is over lingers for 20 s. */
const SETTLE_MS = 25_000;
const STEP_MS = 100;
/** Agents and the census itself look at the hosts with these. */
const PASSING = new Set(['ip', 'cat', 'sh', 'ss', 'runc', 'criu', 'nsenter']);

/** `homes`: hosts that may have files of it: where it runs, and where it died. */
export async function boxRemains(
  lab: Lab,
  bare: readonly HostCensus[],
  homes: readonly string[],
): Promise<string[]> {
  const start = systemClock.monotonicMs();
  for (;;) {
    const found = await now(lab, bare, homes);
    if (found.length === 0 || systemClock.monotonicMs() - start > SETTLE_MS) return found;
    await systemClock.sleep(STEP_MS);
  }
}

async function now(
  lab: Lab,
  bare: readonly HostCensus[],
  homes: readonly string[],
): Promise<string[]> {
  const problems: string[] = [];
  for (const host of await labCensus(lab)) {
    const was = bare.find((each) => each.host === host.host);
    const processes = host.processes.filter((name) => !PASSING.has(name));
    // Files of containers are looked at by their own names.
    if (was !== undefined) problems.push(...overIn({ ...host, processes, files: [] }, was, []));
    if (homes.includes(host.host)) continue;
    const left = await containerLeftovers(lab, host.host);
    problems.push(...left.map((what) => `${host.host}: ${what}`));
  }
  return problems;
}
