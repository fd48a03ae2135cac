import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import { godwitError } from '../errors.ts';
import { labNames, labOf, readLabState } from '../lab/state.ts';
import { agentContract } from '../protocol/contract.ts';
import { didYouMean } from '../protocol/nearest.ts';
import { client } from '../rpc/client.ts';
import type { Transport } from '../rpc/transport.ts';
import type { Endpoint, AgentSet } from './agent-set.ts';
import { chosenContext } from './fleet-contexts.ts';
import type { ChosenContext } from './fleet-contexts.ts';
import { OWN_PLACES, ownSocket } from './own-agent.ts';
import type { OwnPlaces } from './own-agent.ts';
import type { ConnectionFlags } from './verb.ts';

export const DEFAULT_LAB = 'lab';

type Env = Readonly<Record<string, string | undefined>>;

interface Candidate {
  readonly label: string;
  readonly transport: Transport;
}

/**
 * The agents to speak to, the first of these that is there: --agent, --lab or --host, --context, GODWIT_AGENT,
 * GODWIT_LAB, the context in use, this host's own agent, the lab called `lab`, the only lab that is up. An own agent
 * that does not answer is an error, so that nobody works on a lab's guests who meant this host's.
 * Throws GODWIT_USAGE, GODWIT_LAB_UNKNOWN, GODWIT_HOST_UNKNOWN, GODWIT_CONFIG or GODWIT_UNREACHABLE.
 */
export async function connect(
  flags: ConnectionFlags,
  env: Env,
  own: OwnPlaces = OWN_PLACES,
): Promise<AgentSet> {
  const opened: { close(): void }[] = [];
  const open = ({ label, transport }: Candidate): Endpoint => {
    const agent = client(agentContract, transport);
    opened.push(agent);
    return { label, api: agent.api };
  };
  const places = await findCandidates(flags, env, own);
  const [first, ...others] = places.map(open);
  if (first === undefined) throw nobody();
  const fleet: AgentSet = {
    endpoints: [first, ...others],
    close: () => opened.forEach((each) => each.close()),
  };
  // The certificate that one agent takes, the others take too. It is the caller's own: no agent acts with its own for him.
  const shown = credentialsFor(places[0]?.transport, flags, env);
  if (shown === undefined) return fleet;
  const reach = (host: string, address: string): Endpoint =>
    open({ label: host, transport: { credentials: shown, address, expectedName: host } });
  return { ...fleet, reach };
}

/** Over a unix socket nobody needs a certificate, so that one is shown to others only where it was given. */
function credentialsFor(
  transport: Transport | undefined,
  flags: ConnectionFlags,
  env: Env,
): ReturnType<typeof credentials> | undefined {
  if (transport === undefined) return undefined;
  const folder = chosenContext(flags, env)?.certificates;
  if (!('unix' in transport)) return credentials(flags, folder);
  return (flags.cert ?? folder) === undefined ? undefined : credentials(flags, folder);
}

async function findCandidates(
  flags: ConnectionFlags,
  env: Env,
  own: OwnPlaces,
): Promise<Candidate[]> {
  if (flags.agent !== undefined) return [agentPlace('--agent', flags.agent, flags, env)];
  if (flags.lab !== undefined) return labCandidates(flags.lab, flags.host);
  const chosen = chosenContext(flags, env);
  const { isTyped = false } = chosen ?? {};
  if (flags.host !== undefined) {
    if (chosen !== undefined && isTyped && chosen.lab === undefined) throw lacks(chosen, 'lab');
    const named = isTyped ? undefined : env['GODWIT_LAB'];
    return labCandidates(named || (chosen?.lab ?? DEFAULT_LAB), flags.host);
  }
  if (!isTyped && env['GODWIT_AGENT'])
    return [agentPlace('GODWIT_AGENT', env['GODWIT_AGENT'], flags, env)];
  if (!isTyped && env['GODWIT_LAB']) return labCandidates(env['GODWIT_LAB'], undefined);
  if (chosen?.agent !== undefined)
    return [agentPlace(`the agent of the context ${chosen.name}`, chosen.agent, flags, env)];
  if (chosen?.lab !== undefined) return labCandidates(chosen.lab, undefined);
  // With a fleet's controller alone, nobody means whatever agent happens to be near.
  if (chosen?.controller !== undefined) throw lacks(chosen, 'agent');
  const unix = ownSocket(own);
  if (unix !== undefined)
    return [{ label: 'this host', transport: { unix, peer: "this host's agent" } }];
  if (await labIsUp(DEFAULT_LAB)) return labCandidates(DEFAULT_LAB, undefined);
  const labs = await labNames();
  const [only] = labs;
  if (only !== undefined && labs.length === 1 && (await labIsUp(only)))
    return labCandidates(only, undefined);
  throw nobody();
}

async function labIsUp(name: string): Promise<boolean> {
  return (await readLabState(name))?.phase === 'up';
}

async function labCandidates(name: string, host: string | undefined): Promise<Candidate[]> {
  const state = await readLabState(name);
  if (state?.entry === undefined || state.phase !== 'up') throw await noLab(name);
  const { members } = labOf({ ...state, entry: state.entry });
  const chosen = host === undefined ? members : members.filter((member) => member.name === host);
  if (chosen.length === 0 && host !== undefined) throw noHost(host, state.hosts);
  return chosen.map(({ name: label, agentSocket }) => ({
    label,
    transport: { unix: agentSocket, peer: `the agent of ${label} in lab ${name}` },
  }));
}

async function noLab(name: string): Promise<Error> {
  const near = didYouMean(name, await labNames());
  const hint = near === undefined ? {} : { hint: `${near} Or run \`godwit lab up\` first.` };
  return godwitError('GODWIT_LAB_UNKNOWN', { lab: name }, hint);
}

function noHost(host: string, hosts: readonly string[]): Error {
  const near = didYouMean(host, hosts);
  const list = `The lab has the hosts ${hosts.join(', ')}.`;
  const hint = near === undefined ? list : `${near} ${list}`;
  return godwitError('GODWIT_HOST_UNKNOWN', { host: host.slice(0, 80) }, { hint });
}

function nobody(): Error {
  return godwitError(
    'GODWIT_UNREACHABLE',
    {
      peer: "this host's agent",
      address: OWN_PLACES.sockets.join(' or '),
      reason: 'the socket is not there',
    },
    {
      hint: 'Start it with `godwit agent --config FILE`, try a lab with `godwit lab up`, or name an agent with --agent.',
    },
  );
}

/** GODWIT_USAGE names `what` says where the agent is. */
function agentPlace(what: string, where: string, flags: ConnectionFlags, env: Env): Candidate {
  if (where.startsWith('https://')) return httpsPlace(what, where, flags, env);
  if (where.includes('://')) {
    throw usage(
      `${what} cannot be ${where.slice(0, 80)}`,
      'Give https://host:port or the path of a unix socket.',
    );
  }
  const unix = path.resolve(where.replace(/^unix:/, ''));
  if (!existsSync(unix)) {
    throw godwitError(
      'GODWIT_UNREACHABLE',
      { peer: 'an agent', address: unix, reason: 'the socket is not there' },
      { hint: 'Check the path; the agent makes agent.sock in its stateDir.' },
    );
  }
  return { label: where, transport: { unix, peer: 'the agent' } };
}

/** `https://[name@]host:port`: the name is the host's own, as its certificate has it. GODWIT_USAGE where it is not that. */
export function namedAgent(
  where: string,
  flag = '--agent',
): { readonly address: string; readonly name: string } {
  const url = URL.canParse(where) ? new URL(where) : undefined;
  if (url === undefined || url.hostname === '' || url.port === '') {
    throw usage(
      `${flag}: ${where.slice(0, 80)} is not https://host:port`,
      'Write it like https://b.example.net:7443.',
    );
  }
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  const [label = ''] = url.hostname.split('.', 1);
  const expectedName = decodeURIComponent(url.username) || (isIP(literal) === 0 ? label : '');
  if (expectedName === '') {
    throw usage(
      `${flag}: ${where.slice(0, 80)} does not say which host that is`,
      `Put its name before the address: https://NAME@${url.host}.`,
    );
  }
  return { address: url.host, name: expectedName };
}

function httpsPlace(what: string, where: string, flags: ConnectionFlags, env: Env): Candidate {
  const { address, name } = namedAgent(where, what);
  const shown = credentials(flags, chosenContext(flags, env)?.certificates);
  return { label: name, transport: { address, credentials: shown, expectedName: name } };
}

/** A context that does not say what is needed. */
function lacks({ name }: ChosenContext, what: 'agent' | 'lab'): Error {
  const place = what === 'lab' ? '--lab NAME' : '--agent https://HOST:PORT';
  return usage(
    `the context ${name} names no ${what}`,
    `Give ${place}, or have the context name it: \`godwit context set ${name} ${place}\`.`,
  );
}

/** Files of a folder of certificates, by preference: those of a person, then those of a host. */
const OWN_NAMES = ['operator', 'viewer', 'client', 'host'];

/** The files that the flags name or `folder` has, as texts. */
export function credentials(
  flags: ConnectionFlags,
  folder: string | undefined,
): { ca: string; cert: string; key: string } {
  const inFolder = (file: string): string | undefined => {
    const full = folder === undefined ? undefined : path.join(folder, file);
    return full !== undefined && existsSync(full) ? full : undefined;
  };
  const own = OWN_NAMES.find((name) => inFolder(`${name}.crt`) !== undefined) ?? 'operator';
  const files = {
    ca: flags.ca ?? inFolder('ca.crt'),
    cert: flags.cert ?? inFolder(`${own}.crt`),
    key: flags.key ?? inFolder(`${own}.key`),
  };
  return {
    ca: read('ca', files.ca, folder),
    cert: read('cert', files.cert, folder),
    key: read('key', files.key, folder),
  };
}

function read(
  what: 'ca' | 'cert' | 'key',
  file: string | undefined,
  folder: string | undefined,
): string {
  if (file === undefined) {
    const where = folder === undefined ? '' : ` (${folder} has none)`;
    throw usage(
      `an https:// agent needs --${what}${where}`,
      'Give --cert, --key and --ca, or use a context with the folder that `godwit pki issue` made: `godwit context set NAME --certificates DIR`.',
    );
  }
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw godwitError(
      'GODWIT_CONFIG',
      {
        file,
        what: `cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'no reason given'})`,
      },
      { hint: 'Check the path and that this user may read it.', cause },
    );
  }
}

function usage(what: string, hint: string): Error {
  return godwitError('GODWIT_USAGE', { what }, { hint });
}
