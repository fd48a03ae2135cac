import type { GuestInfo } from './host.ts';

/**
 * Guests as all hosts report them, each once: of one that moves, both of its hosts report. It stands under the host that runs
 * it. Where that is not known, under the one that has its hypervisor.
 */
export function eachOnce(guests: readonly GuestInfo[]): GuestInfo[] {
  const rows = new Map<string, GuestInfo[]>();
  for (const [index, guest] of guests.entries()) {
    const { migration, moving, name } = guest;
    const key =
      migration === undefined || moving === undefined ? `${index}` : `${migration} ${name}`;
    rows.set(key, [...(rows.get(key) ?? []), guest]);
  }
  return [...rows.values()].flatMap((reports) => {
    const [first] = reports;
    return first === undefined ? [] : [asOne(first, reports)];
  });
}

/** The host that runs it speaks for it; else its source, which decides. */
function asOne(first: GuestInfo, reports: readonly GuestInfo[]): GuestInfo {
  const { moving } = first;
  if (moving === undefined) return first;
  const { from, to } = moving;
  const of = (host: string): GuestInfo | undefined => reports.find((each) => each.host === host);
  const arrived = of(to)?.moving?.runsAt === 'destination';
  const runsAt = arrived ? 'destination' : (of(from) ?? first).moving?.runsAt;
  const runner = runsAt === 'destination' ? to : from;
  const reporter = of(runner) ?? of(from) ?? first;
  const isKnown = runsAt === 'source' || runsAt === 'destination';
  return {
    ...reporter,
    host: isKnown ? runner : reporter.host,
    moving: { from, to, runsAt: runsAt ?? 'unknown' },
  };
}
