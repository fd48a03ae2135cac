import { existsSync } from 'node:fs';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import type { Transport } from '../../rpc/transport.ts';
import type { Context, ConnectionFlags } from '../context.ts';
import { credentials, namedAgent, usage } from './credentials.ts';
import { chosenContext } from './fleet-contexts.ts';

const CONTROLLER_PORT = 7444;

/**
 * The address of a controller: --controller; else, without a typed agent, lab or manager, the controller of --context,
 * GODWIT_CONTROLLER, or, if GODWIT_AGENT and GODWIT_LAB are not set, the controller of the context in use. GODWIT_USAGE
 * if an agent is named, too.
 */
export function controllerNamed(flags: ConnectionFlags, env: Context['env']): string | undefined {
  const { agent, lab, host, manager, context, controller, atHost = false } = flags;
  if (atHost) return undefined;
  if (controller !== undefined) {
    const other = Object.entries({ agent, lab, host }).find(([, value]) => value !== undefined);
    if (other === undefined) return controller;
    throw usage(
      `--controller and --${other[0]} are both given`,
      'Name either a controller or an agent.',
    );
  }
  if ((agent ?? lab ?? host ?? manager) !== undefined) return undefined;
  if (context !== undefined) return chosenContext(flags, env)?.controller;
  if (env['GODWIT_CONTROLLER']) return env['GODWIT_CONTROLLER'];
  if (env['GODWIT_AGENT'] || env['GODWIT_LAB']) return undefined;
  return chosenContext(flags, env)?.controller;
}

/** GODWIT_USAGE, GODWIT_CONFIG or GODWIT_UNREACHABLE if no controller can be there. */
export function transportTo(where: string, flags: ConnectionFlags, env: Context['env']): Transport {
  if (where.startsWith('https://')) {
    const { address, name } = namedAgent(where, '--controller', CONTROLLER_PORT);
    const shown = credentials(flags, chosenContext(flags, env)?.certificates);
    return { address, credentials: shown, expectedName: name, expectedRole: 'controller' };
  }
  if (where.includes('://')) {
    const hint = 'Give https://host or https://host:port, or the path of its Unix socket.';
    throw godwitError(
      'GODWIT_USAGE',
      { what: `--controller cannot be ${where.slice(0, 80)}` },
      { hint },
    );
  }
  const unix = path.resolve(where);
  if (existsSync(unix)) return { unix, peer: 'the controller' };
  const facts = { peer: 'a controller', address: unix, reason: 'the socket is not there' };
  const hint = 'Check the path; a controller makes controller.sock in its stateDir.';
  throw godwitError('GODWIT_UNREACHABLE', facts, { hint });
}
