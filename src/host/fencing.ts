import type { AgentConfig } from '../config.ts';
import { toGodwitError } from '../errors.ts';
import { runSiteProgram } from '../hooks/site-program.ts';
import { darkWatchIo, darkWatchMs, whyNotDark, type DarkWatchIo } from './watch-dark-host.ts';
import type { Fleet } from './fleet.ts';

export interface FenceFacts {
  readonly id: string;
  readonly guest: string;
  readonly side: 'source' | 'destination';
  /** Addresses of the other host in the migration, host:port; configured ones are added. */
  readonly addresses: readonly string[];
}

export type Fencing =
  | { readonly off: true; readonly by: string }
  | { readonly off: false; readonly why: string };

/** Requests the proof that a host is off. Never rejects; without a proof it returns the reason. */
export type Fence = (host: string, facts: FenceFacts, signal: AbortSignal) => Promise<Fencing>;

export function fencingMs({ fencing }: Pick<AgentConfig, 'fencing'>): number {
  return fencing === undefined ? 0 : darkWatchMs(fencing.silenceMs) + fencing.timeoutMs;
}

/**
 * The configured hook. It is called only for a host whose kernel has just been silent on every path for the whole of
 * `silenceMs`.
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

/** Controls that answer while this host's own network works: configured ones, and the fleet's other hosts. */
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
  // Only exit 0 is a proof.
  const argv = [...args, host];
  const answer = await runSiteProgram({ file, args: argv, environment, deadlineMs, signal });
  if (!answer.ok) return { off: false, why: `the fencing hook ${answer.why}` };
  const output = answer.words === '' ? '' : `: ${answer.words}`;
  return { off: true, by: `the fencing hook${output}`.slice(0, 128) };
}
