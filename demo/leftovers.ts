/** What a migration left behind, found by comparing a host with what it should be. Pure. */
import type { HostCensus } from '../lab/witness/census.ts';

/** A guest, and the host that it is on. */
export interface Home {
  readonly name: string;
  readonly host: string | undefined;
}

/**
 * Compares hosts now with how they were before there was a guest. A host has one QEMU, one tap and the
 * guest's own files more for each guest on it. Returns a line for each thing too many or missing.
 */
export function leftovers(
  bare: readonly HostCensus[],
  now: readonly HostCensus[],
  guests: readonly Home[],
): string[] {
  return now.flatMap((census) => {
    const before = bare.find(({ host }) => host === census.host);
    if (before === undefined) return [`host ${census.host} was not there before`];
    const here = guests.filter(({ host }) => host === census.host).map(({ name }) => name);
    return compareHost(before, census, here);
  });
}

/** runc's states, the bundles that the lab started and those that migrations made: who asks for them looks at them closer. */
export function withoutContainers(census: HostCensus): HostCensus {
  const files = census.files.filter((file) => !/^(runc|boxes|containers)(\/|$)/.test(file));
  return { ...census, files };
}

function compareHost(before: HostCensus, now: HostCensus, guests: readonly string[]): string[] {
  const { host } = now;
  const own = guests.map((guest) => `guests/${guest}`);
  const isOwn = (file: string): boolean =>
    (own.length > 0 && file === 'guests') ||
    own.some((folder) => file === folder || file.startsWith(`${folder}/`));
  const others = now.files.filter((file) => !isKept(file) && !isOwn(file));
  const [qemus, processes] = split(now.processes, (name) => name.startsWith('qemu'));
  const [qemusBefore, processesBefore] = split(before.processes, (name) => name.startsWith('qemu'));
  const extra = guests.length;
  return [
    // A mover that an agent had started to warm up has ended since: only agents must still be there.
    ...differences('process', processesBefore, processes, {
      mayLack: processesBefore.filter((name) => name.includes('mover')),
    }),
    ...counts('QEMU', qemusBefore.length + extra, qemus),
    ...counts('tap', before.taps.length + extra, now.taps),
    ...differences('listening port', before.ports, now.ports),
    // The folder `guests` itself holds nothing.
    ...differences('file', [...before.files.filter((file) => !isKept(file)), 'guests'], others, {
      mayLack: ['guests'],
    }),
  ].map((line) => `host ${host}: ${line}`);
}

/**
 * What an agent remembers between migrations on purpose: the checksums of kernels and the like, the
 * epoch of the last order that a controller gave, and that a request closed its host to guests.
 */
function isKept(file: string): boolean {
  return /^(cache|orders|closed\.json)(\/|$)/.test(file);
}

function split(list: readonly string[], test: (entry: string) => boolean): [string[], string[]] {
  return [list.filter(test), list.filter((entry) => !test(entry))];
}

function counts(what: string, expected: number, found: readonly string[]): string[] {
  if (found.length === expected) return [];
  const names = found.length === 0 ? '' : ` (${found.join(', ')})`;
  return [`${what}: ${found.length}${names}, expected ${expected}`];
}

function differences(
  what: string,
  before: readonly string[],
  now: readonly string[],
  { mayLack = [] }: { readonly mayLack?: readonly string[] } = {},
): string[] {
  const more = without(now, before).map((entry) => `${what} ${entry} was left behind`);
  const fewer = without(before, now)
    .filter((entry) => !mayLack.includes(entry))
    .map((entry) => `${what} ${entry} is gone`);
  return [...more, ...fewer];
}

/** `list` without one entry for each of `taken`: both may hold the same entry several times. */
function without(list: readonly string[], taken: readonly string[]): string[] {
  const rest = [...taken];
  return list.filter((entry) => {
    const index = rest.indexOf(entry);
    if (index === -1) return true;
    rest.splice(index, 1);
    return false;
  });
}
