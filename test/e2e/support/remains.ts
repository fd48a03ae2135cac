/** What migrations leave on hosts: processes, taps, listening ports and files, compared before and after. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { labHost, type Lab } from '../../../lab/state.ts';
import { labCensus, type HostCensus } from '../../../lab/witness/census.ts';
import type { World } from './world.ts';
import { until } from '../../until.ts';

export type HostRemains = HostCensus;

/** What ends by itself after a migration (a mover's last words) has this long, ms. */
const SETTLE_MS = 15_000;
/** Of a mover's log. */
const MAX_WORDS = 2000;
/** What agents and drivers keep for the next time: it belongs to no migration. */
const KEPT = /^cache(\/|$)/;
/** What guests’ TPMs hold outlives their QEMUs: the tests of them look at it themselves. */
const TPMS = /^tpm(\/|$)/;

/** Agents and the census itself look at links with these. */
const PASSING = new Set(['ip', 'cat', 'ovs-vsctl']);
/** One that has checked waits a while for the next question of its agent; a second one would be left of a question. */
const CHECKER = 'node checker.ts';

/** Those that belong to no agent’s rest. Pure. */
export function staying(processes: readonly string[]): string[] {
  const waits = processes.indexOf(CHECKER);
  return processes.filter((name, at) => !PASSING.has(name) && at !== waits);
}

/** What is on the hosts now. The folder `guests` itself, empty, is nothing. */
export async function hostsNow(lab: Lab): Promise<HostRemains[]> {
  const census = await labCensus(lab);
  return census.map((host) => ({
    ...host,
    processes: staying(host.processes),
    files: host.files.filter((file) => file !== 'guests' && !KEPT.test(file) && !TPMS.test(file)),
  }));
}

/** Waits until the hosts are as they were; then fails with the difference where they are not. */
export async function assertUnchanged(world: World, before: readonly HostRemains[]): Promise<void> {
  await assertBecomes(world, () => hostsNow(world.lab), before);
}

/**
 * Waits until each host holds just the guests named and is otherwise as bare as it was built: one QEMU and one tap
 * a guest, its own files, and no mover, listening port or socket besides. `beside`: more programs of theirs on a host.
 */
export async function assertOnlyGuests(
  world: World,
  guests: Readonly<Record<string, readonly string[]>>,
  beside: Readonly<Record<string, readonly string[]>> = {},
): Promise<void> {
  const expected = world.bare.map((bare) => {
    const here = guests[bare.host] ?? [];
    return {
      ...bare,
      processes: [
        ...bare.processes,
        ...here.map(() => 'qemu-system-x86_64'),
        ...(beside[bare.host] ?? []),
      ].toSorted(),
      // A switch that is a program has taps of its own.
      taps: bare.taps.length + here.length,
    };
  });
  await assertBecomes(
    world,
    async () => {
      const now = await hostsNow(world.lab);
      return now.map((host) => {
        const here = guests[host.host] ?? [];
        const own = (file: string): boolean =>
          here.some((name) => file === `guests/${name}` || file.startsWith(`guests/${name}/`));
        return { ...host, taps: host.taps.length, files: host.files.filter((file) => !own(file)) };
      });
    },
    expected,
  );
}

async function assertBecomes(
  world: World,
  look: () => Promise<unknown>,
  expected: unknown,
): Promise<void> {
  let seen: unknown;
  const equal = async (): Promise<true | undefined> => {
    seen = await look();
    try {
      assert.deepEqual(seen, expected);
      return true;
    } catch {
      return undefined;
    }
  };
  await until('the hosts to be as expected', SETTLE_MS, equal).catch(() => {
    try {
      assert.deepEqual(seen, expected);
    } catch (error) {
      throw new Error(`${String(error)}\n${moversWords(world.lab)}`, { cause: error });
    }
  });
}

/** The last that the movers of each host have written, since what is left is most often one of them. */
function moversWords(lab: Lab): string {
  const files = lab.hosts.flatMap((host) =>
    globSync(path.join(labHost(lab, host).stateDir, 'migrations', '*', 'mover.log')),
  );
  return files
    .map((file) => `${file}:\n${readFileSync(file, 'utf8').slice(-MAX_WORDS)}`)
    .join('\n');
}
