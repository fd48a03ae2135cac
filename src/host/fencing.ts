import type { AgentConfig } from '../config.ts';
import { toGodwitError } from '../errors.ts';
import { runSiteProgram } from '../hooks/site-program.ts';
import { darkWatchIo, darkWatchMs, whyNotDark, type DarkWatchIo } from './watch-dark-host.ts';
import type { Fleet } from './fleet.ts';

/** What the fencing hook learns of the migration, besides the host to be off. */
export interface FenceFacts {
  readonly id: string;
  readonly guest: string;
  /** Which side the other host is of the migration. */
  readonly side: 'source' | 'destination';
  /** Where the migration reaches the other host, host:port; those that this host's configuration knows are added. */
  readonly addresses: readonly string[];
}

export type Fencing =
  | { readonly off: true; readonly by: string }
  | { readonly off: false; readonly why: string };

/** Asks for the proof that a host is off. Never rejects: what is not proved is not proved, and says why. */
export type Fence = (host: string, facts: FenceFacts, signal: AbortSignal) => Promise<Fencing>;

/** How long a `Fence` takes at most, ms; 0 where there is none. */
export function fencingMs({ fencing }: Pick<AgentConfig, 'fencing'>): number {
  return fencing === undefined ? 0 : darkWatchMs(fencing.silenceMs) + fencing.timeoutMs;
}

/**
 * The hook of this host's configuration; undefined where it has none. Nobody gets at the hook but through the gate: it is
 * called for a host whose kernel has just been silent over every path for the whole of `silenceMs`, and for no other.
 */
export function fenceOf(
  config: AgentConfig,
  fleet: Pick<Fleet, 'peers'>,
  io: DarkWatchIo = darkWatchIo,
): Fence | undefined {
  const { fencing } = config;
  if (fencing === undefined) return undefined;
  return async (host, facts, signal) => {
    let why: string | undefined;
    try {
      const paths = pathsTo(host, facts, fleet);
      const others = othersThan(host, fencing.controls, fleet);
      why = await whyNotDark(paths, others, fencing.silenceMs, signal, io);
    } catch (thrown) {
      why = signal.aborted ? 'nobody waited for it' : toGodwitError(thrown).message;
    }
    if (why !== undefined) {
      return { off: false, why: `the fencing hook was not called for ${host}: ${why}` };
    }
    return callHook(config.name, fencing, { host, facts, signal });
  };
}

function pathsTo(host: string, { addresses }: FenceFacts, fleet: Pick<Fleet, 'peers'>): string[] {
  const known = fleet.peers()[host];
  const configured = known === undefined ? [] : [known.address, ...known.addresses];
  return [...new Set([...addresses, ...configured])];
}

/** Who answers as long as this host's own ways are open: what is configured for that, and the fleet's other hosts. */
function othersThan(
  host: string,
  controls: readonly string[],
  fleet: Pick<Fleet, 'peers'>,
): string[] {
  const peers = Object.entries(fleet.peers()).filter(([name]) => name !== host);
  return [...controls, ...peers.flatMap(([, { address, addresses }]) => [address, ...addresses])];
}

interface Call {
  readonly host: string;
  readonly facts: FenceFacts;
  readonly signal: AbortSignal;
}

async function callHook(
  name: string,
  { command, timeoutMs: deadlineMs }: NonNullable<AgentConfig['fencing']>,
  { host, facts, signal }: Call,
): Promise<Fencing> {
  const [file = '', ...args] = command;
  const environment = {
    GODWIT_HOST: name,
    GODWIT_FENCE_HOST: host,
    GODWIT_FENCE_SIDE: facts.side,
    GODWIT_MIGRATION: facts.id,
    GODWIT_GUEST: facts.guest,
  };
  // Exit 0 is the proof; whatever else happens is none.
  const argv = [...args, host];
  const answer = await runSiteProgram({ file, args: argv, environment, deadlineMs, signal });
  if (!answer.ok) return { off: false, why: `the fencing hook ${answer.why}` };
  const output = answer.words === '' ? '' : `: ${answer.words}`;
  return { off: true, by: `the fencing hook${output}`.slice(0, 128) };
}
