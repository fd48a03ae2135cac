import type { AgentConfig } from '../../config.ts';
import { withDeadline } from '../../deadline.ts';
import type { DiscoveredGuest } from '../../port/inventory.ts';
import type { Driver } from '../../drivers/registry.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { baselinesOf, type HostProcessors } from '../../migration/preflight/baseline.ts';
import type {
  GuestProcessor,
  processorRoutes,
  ProcessorsAnswer,
} from '../../protocol/public/hosts/processor.ts';
import type { Handlers } from '../../rpc/server.ts';
import type { Guests } from '../guests/guests.ts';
import type { Peers } from '../peers.ts';
import { SingleFlight } from '../guests/single-flight.ts';

/** A hypervisor that is queried for the first time lists every model. */
const OFFERS_MS = 45_000;
const GUEST_MS = 3000;
const ALL_MS = 120_000;
const GUESTS_AT_ONCE = 8;
const MAX_GUESTS = 4096;

export interface ProcessorDependencies {
  readonly config: Pick<AgentConfig, 'name'>;
  readonly guests: Pick<Guests, 'drivers' | 'listed'>;
  readonly peers: Pick<Peers, 'names' | 'processors'>;
  readonly log: Log;
}

export function processorHandlers(deps: ProcessorDependencies): Handlers<typeof processorRoutes> {
  const { config, peers } = deps;
  // Not a caller's signal: other callers may share the answer.
  const looks = new SingleFlight(() => ownProcessors(deps, AbortSignal.timeout(ALL_MS)));
  const own = (): Promise<ProcessorsAnswer> => looks.read(config.name);
  const askOf = (host: string, signal: AbortSignal): (() => Promise<ProcessorsAnswer>) => {
    if (host === config.name) return own;
    if (peers.names().includes(host)) return () => peers.processors(host, signal);
    throw godwitError('GODWIT_HOST_UNKNOWN', { host });
  };
  return {
    processors: own,
    baseline: async ({ body: { hosts, check }, signal }) => {
      const others = [config.name, ...peers.names()].filter((host) => host !== check);
      const kept = [...new Set(hosts ?? others)];
      if (check !== undefined && kept.includes(check)) {
        const what = `${check} is to be checked, and is one of the hosts of the baseline`;
        const hint = 'Name the hosts of the baseline without it.';
        throw godwitError('GODWIT_USAGE', { what }, { hint });
      }
      const asked = [...kept, ...(check === undefined ? [] : [check])];
      const questions = asked.map((host) => ({ host, ask: askOf(host, signal) }));
      const all = await Promise.all(
        questions.map(async ({ host, ask }): Promise<HostProcessors> => {
          try {
            return { host, answer: await ask() };
          } catch (thrown) {
            signal.throwIfAborted();
            return { host, answer: { why: toGodwitError(thrown).message } };
          }
        }),
      );
      return baselinesOf(all, { check });
    },
  };
}

async function ownProcessors(
  { guests, log }: ProcessorDependencies,
  signal: AbortSignal,
): Promise<ProcessorsAnswer> {
  const offers = await withDeadline('processors', OFFERS_MS, signal, (inner) =>
    Promise.all(guests.drivers.map((driver) => driver.processors?.(inner) ?? Promise.resolve([]))),
  );
  const { found } = await guests.listed();
  const running = found.filter(({ info }) => info.state === 'running' || info.state === 'paused');
  const waiting = running.slice(0, MAX_GUESTS).values();
  const reported: GuestProcessor[] = [];
  const worker = async (): Promise<void> => {
    for (const guest of waiting) {
      const processor = await processorOf(guests.drivers, guest, signal).catch((thrown: unknown) =>
        log.info(
          { guest: guest.info.name, error: toGodwitError(thrown) },
          'CPU model of a guest not read',
        ),
      );
      if (processor !== undefined) reported.push(processor);
    }
  };
  await Promise.all(Array.from({ length: GUESTS_AT_ONCE }, worker));
  signal.throwIfAborted();
  return { offers: offers.flat(), guests: reported };
}

/** Undefined if the guest cannot be queried: a mover holds it, or its driver cannot report it. */
async function processorOf(
  drivers: readonly Driver[],
  { info, handle }: DiscoveredGuest,
  signal: AbortSignal,
): Promise<GuestProcessor | undefined> {
  const driver = drivers.find(({ name }) => name === info.driver);
  if (handle === undefined || info.migration !== undefined) return undefined;
  return withDeadline(`the processor of ${info.name}`, GUEST_MS, signal, async (inner) =>
    driver?.processorOf?.(handle, inner),
  );
}
