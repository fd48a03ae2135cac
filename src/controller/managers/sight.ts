import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import type { ManagerEntry } from '../../protocol/controller/managers.ts';
import type { ManagerHeard } from './follower.ts';

/** The state of a manager as its controller sees it. */
export interface Sight {
  readonly state: ManagerEntry['state'];
  readonly sinceMs: number;
  readonly reason?: string | undefined;
}

interface Watched {
  readonly kept: { readonly name: string };
  readonly process: { readonly hasAnswered: boolean };
  sight: Sight;
}

/** Passes on what is heard of a manager, and keeps its sight up to date by that. */
export function watchedBy(
  running: Watched,
  heard: ManagerHeard,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): ManagerHeard {
  const manager = running.kept.name;
  const isNow = (state: 'up' | 'silent', reason?: string): void => {
    const { state: before } = running.sight;
    running.sight = next(running.sight, { state, sinceMs: clock.wallMs(), reason });
    if (state === before) return;
    if (state === 'silent') log.warn({ manager, reason }, 'a manager is silent');
    else log.info({ manager }, 'a manager answers');
  };
  return {
    ...heard,
    all: (hosts, guests) => {
      heard.all(hosts, guests);
      isNow('up');
    },
    silent: (reason) => {
      // An agent that starts has not been asked yet.
      if (running.sight.state === 'starting' && !running.process.hasAnswered) return;
      heard.silent(reason);
      isNow('silent', reason);
    },
  };
}

/** A state keeps the moment at which it began. */
const next = (before: Sight, seen: Sight): Sight =>
  before.state === seen.state ? { ...seen, sinceMs: before.sinceMs } : seen;
