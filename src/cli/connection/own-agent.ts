import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../errors.ts';

export interface OwnPlaces {
  /** Its `stateDir` has the socket. */
  readonly config: string;
  /** Tried in this order on a host without that configuration. */
  readonly sockets: readonly string[];
}

export const OWN_PLACES: OwnPlaces = {
  config: '/etc/godwit/agent.json',
  sockets: ['/run/godwit/agent.sock', '/var/lib/godwit/agent.sock'],
};

/** Ignores other settings, so that an unknown one does not block access. */
const withStateDir = z.object({ stateDir: z.string().startsWith('/') });

/**
 * The socket of this host's agent, even if nothing listens on it now; undefined on a host without an agent.
 * GODWIT_CONFIG if a configuration does not show the socket: no lab is used instead.
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
