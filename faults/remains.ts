/** What is on the hosts and should not be, by the lab's census. */
import { systemClock } from '../src/clock.ts';
import type { Lab } from '../lab/state.ts';
import { labCensus, type HostCensus } from '../lab/witness/census.ts';

export type { HostCensus };

/** `guest`: it lives here. `grave`: what the lab itself made for it may lie here still, alive or not. */
export type Remains = 'guest' | 'grave' | 'nothing';

/** A mover that answers once more for what is over lingers for 20 s. */
const SETTLE_MS = 25_000;
const REST_MS = 20_000;
const STEP_MS = 50;
/** What agents and drivers keep for the next time: it belongs to no migration. */
const KEPT = /^((cache|standbys)(\/|$)|offered-standbys\.json)/;
/** Agents and the census itself look at the hosts with these. */
const PASSING = new Set(['ip', 'cat', 'sh', 'ss']);
const QEMU = 'qemu-system-x86_64';

/** The hosts once their agents have ended what they do when they start. */
export async function bareHosts(lab: Lab): Promise<HostCensus[]> {
  const start = systemClock.monotonicMs();
  for (;;) {
    const hosts = await now(lab);
    if (hosts.every(({ processes }) => processes.join() === 'node agent.ts')) return hosts;
    if (systemClock.monotonicMs() - start > REST_MS) throw new Error('the agents do not rest');
    await systemClock.sleep(STEP_MS);
  }
}

/** Waits until nothing is left over; what still is after `settleMs` is returned, in words. */
export async function remainsOf(
  lab: Lab,
  bare: readonly HostCensus[],
  places: (host: string) => readonly { readonly guest: string; readonly place: Remains }[],
  settleMs = SETTLE_MS,
): Promise<string[]> {
  const start = systemClock.monotonicMs();
  for (;;) {
    const found = (await now(lab)).flatMap((host) => {
      const was = bare.find((each) => each.host === host.host);
      return was === undefined ? [] : overIn(host, was, places(host.host));
    });
    if (found.length === 0 || systemClock.monotonicMs() - start > settleMs) return found;
    await systemClock.sleep(STEP_MS);
  }
}

/** Pure: what a host has beyond what it had and what its guests need; and what of that it lacks. */
export function overIn(
  host: HostCensus,
  bare: HostCensus,
  here: readonly { readonly guest: string; readonly place: Remains }[],
): string[] {
  const guests = here.filter(({ place }) => place === 'guest').length;
  const graves = here.filter(({ place }) => place === 'grave').length;
  const own = (file: string): boolean =>
    here.some(
      ({ guest, place }) =>
        place !== 'nothing' && (file === `guests/${guest}` || file.startsWith(`guests/${guest}/`)),
    );
  const problems = [
    ...surplus(host.processes, bare.processes, QEMU, guests, guests + graves),
    ...surplus(host.ports, bare.ports).map((port) => `port ${port}`),
    ...surplus(host.files, bare.files).filter((file) => !own(file)),
  ];
  const taps = host.taps.length - bare.taps.length;
  if (taps < guests) problems.push('a tap is missing');
  if (taps > guests + graves) problems.push(`taps ${host.taps.join(' ')}`);
  return problems.map((what) => `${host.host}: ${what}`);
}

/** What is in `have` beyond `had`; of `counted` between `least` and `most` more may be there. */
function surplus(
  have: readonly string[],
  had: readonly string[],
  counted = '',
  least = 0,
  most = 0,
): string[] {
  const left = [...had];
  const more = have.filter((each) => {
    const at = left.indexOf(each);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
  const others = more.filter((each) => each !== counted);
  const count = more.length - others.length;
  if (count > most) others.push(`${count - most} ${counted} too many`);
  if (count < least) others.push(`${least - count} ${counted} missing`);
  return others;
}

async function now(lab: Lab): Promise<HostCensus[]> {
  const census = await labCensus(lab);
  return census.map((host) => ({
    ...host,
    processes: host.processes.filter((name) => !PASSING.has(name)),
    files: host.files.filter((file) => file !== 'guests' && !KEPT.test(file)),
  }));
}
