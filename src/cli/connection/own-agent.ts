import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../errors.ts';

/** Where this host's own agent may have its configuration and its socket. */
export interface OwnPlaces {
  /** Its `stateDir` says where the socket is. */
  readonly config: string;
  /** Sockets to try on a host without that configuration, in this order. */
  readonly sockets: readonly string[];
}

export const OWN_PLACES: OwnPlaces = {
  config: '/etc/godwit/agent.json',
  sockets: ['/run/godwit/agent.sock', '/var/lib/godwit/agent.sock'],
};

/** The agent reads the rest; a setting that this build does not know must not keep anybody from it. */
const withStateDir = z.object({ stateDir: z.string().startsWith('/') });

/**
 * The socket of this host's own agent, also where nobody listens on it now; undefined on a host that has no agent.
 * GODWIT_CONFIG where there is a configuration and nothing says where the socket is: no lab is taken in its place.
 */
export function ownSocket({ config, sockets }: OwnPlaces): string | undefined {
  const stateDir = readStateDir(config);
  if (stateDir !== undefined) return path.join(stateDir, 'agent.sock');
  const socket = sockets.find((each) => existsSync(each));
  if (socket !== undefined || !existsSync(config)) return socket;
  throw godwitError(
    'GODWIT_CONFIG',
    { file: config, what: "does not show this user the address of this host's agent" },
    { hint: 'Look at it with `godwit doctor`, or name an agent with --agent or a lab with --lab.' },
  );
}

function readStateDir(config: string): string | undefined {
  try {
    return withStateDir.parse(JSON.parse(readFileSync(config, 'utf8'))).stateDir;
  } catch {
    return undefined;
  }
}
