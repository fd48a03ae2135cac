import type { AgentConfig } from '../config.ts';
import { runSiteProgram } from '../hooks/site-program.ts';

/** What the fencing hook is told of the migration, besides the host to be off. */
export interface FenceFacts {
  readonly id: string;
  readonly guest: string;
  /** Which side the other host is of the migration. */
  readonly side: 'source' | 'destination';
}

export type Fencing =
  | { readonly off: true; readonly by: string }
  | { readonly off: false; readonly why: string };

/** Asks for the proof that a host is off. Never rejects: what is not proved is not proved, and says why. */
export type Fence = (host: string, facts: FenceFacts, signal: AbortSignal) => Promise<Fencing>;

/** The hook of this host's configuration; undefined where it has none. */
export function fenceOf(config: AgentConfig): Fence | undefined {
  const { fencing, name } = config;
  if (fencing === undefined) return undefined;
  const [program = '', ...args] = fencing.command;
  return async (host, facts, signal) => {
    const environment = {
      GODWIT_HOST: name,
      GODWIT_FENCE_HOST: host,
      GODWIT_FENCE_SIDE: facts.side,
      GODWIT_MIGRATION: facts.id,
      GODWIT_GUEST: facts.guest,
    };
    const { timeoutMs: deadlineMs } = fencing;
    const argv = [...args, host];
    // Exit 0 is the proof; whatever else happens is none.
    const answer = await runSiteProgram({
      file: program,
      args: argv,
      environment,
      deadlineMs,
      signal,
    });
    if (!answer.ok) return { off: false, why: `the fencing hook ${answer.why}` };
    const told = answer.words === '' ? '' : `: ${answer.words}`;
    return { off: true, by: `the fencing hook${told}`.slice(0, 128) };
  };
}
