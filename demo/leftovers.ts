/** What a migration left behind, told by comparing a host with what it should be. Pure. */
import type { HostCensus } from '../src/lab/witness/census.ts';

/**
 * Compares hosts now with how they were before there was a guest. The host where the guest is has one
 * QEMU, one tap and the guest's own files more. Returns a line for each thing too many or missing.
 */
export function leftovers(
  bare: readonly HostCensus[],
  now: readonly HostCensus[],
  guest: { readonly name: string; readonly host: string | undefined },
): string[] {
  return now.flatMap((census) => {
    const before = bare.find(({ host }) => host === census.host);
    if (before === undefined) return [`host ${census.host} was not there before`];
    return compareHost(before, census, census.host === guest.host ? guest.name : undefined);
  });
}

function compareHost(before: HostCensus, now: HostCensus, guest: string | undefined): string[] {
  const { host } = now;
  const own = `guests/${guest}`;
  const others = now.files.filter(
    (file) =>
      !isCache(file) &&
      (guest === undefined || (file !== 'guests' && file !== own && !file.startsWith(`${own}/`))),
  );
  const [qemus, processes] = split(now.processes, (name) => name.startsWith('qemu'));
  const [qemusBefore, processesBefore] = split(before.processes, (name) => name.startsWith('qemu'));
  const extra = guest === undefined ? 0 : 1;
  return [
    // A mover that an agent had started to warm up has ended since: only agents must still be there.
    ...differences('process', processesBefore, processes, {
      mayLack: processesBefore.filter((name) => name.includes('mover')),
    }),
    ...counts('QEMU', qemusBefore.length + extra, qemus),
    ...counts('tap', before.taps.length + extra, now.taps),
    ...differences('listening port', before.ports, now.ports),
    // The folder `guests` itself holds nothing.
    ...differences('file', [...before.files, 'guests'], others, { mayLack: ['guests'] }),
  ].map((line) => `host ${host}: ${line}`);
}

/** What an agent remembers between migrations, such as the checksums of kernels: kept on purpose. */
function isCache(file: string): boolean {
  return file === 'cache' || file.startsWith('cache/');
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
