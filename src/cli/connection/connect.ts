import { existsSync } from 'node:fs';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { agentContract } from '../../protocol/contract.ts';
import { controllerContract } from '../../protocol/controller/contract.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { client } from '../../rpc/client.ts';
import type { Transport } from '../../rpc/transport.ts';
import type { Endpoint, AgentSet } from './agent-set.ts';
import { agentsThrough } from './controller-agents.ts';
import { controllerNamed, transportTo } from './controller-place.ts';
import { credentials, namedAgent, usage } from './credentials.ts';
import { chosenContext, type ChosenContext } from './fleet-contexts.ts';
import { findLab, labNames } from './labs.ts';
import { OWN_PLACES, ownSocket, type OwnPlaces } from './own-agent.ts';
import type { ConnectionFlags } from '../context.ts';

const DEFAULT_LAB = 'lab';

type Env = Readonly<Record<string, string | undefined>>;

interface Candidate {
  readonly label: string;
  readonly transport: Transport;
}

/**
 * The first existing one of: --agent, --lab or --host, --manager, --controller, --context, GODWIT_CONTROLLER,
 * GODWIT_AGENT, GODWIT_LAB, the context in use, this host's agent, the lab called `lab`, the only lab that is up. A
 * controller forwards requests to its hosts and managers. It is an error if this host's agent does not answer:
 * otherwise an operator could change a lab's guests by mistake. Throws GODWIT_USAGE, GODWIT_LAB_UNKNOWN,
 * GODWIT_HOST_UNKNOWN, GODWIT_CONFIG or GODWIT_UNREACHABLE.
 */
export async function connect(
  flags: ConnectionFlags,
  env: Env,
  own: OwnPlaces = OWN_PLACES,
): Promise<AgentSet> {
  const controller = controllerNamed(flags, env);
  if (controller !== undefined && !hasNearer(flags, env))
    return agentsThrough(controller, flags, env);
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
  // All agents accept the certificate that one of them accepts. It is always the caller's; no agent acts with its own
  // on behalf of the caller.
  const shown = credentialsFor(places[0]?.transport, flags, env);
  if (shown === undefined) return fleet;
  // A manager's hosts have no agents.
  if (places.some(({ transport }) => transport.under !== undefined)) return fleet;
  const reach = (host: string, address: string): Endpoint =>
    open({ label: host, transport: { credentials: shown, address, expectedName: host } });
  return { ...fleet, reach };
}

/** If a context names a controller and an agent or lab, verbs of an agent use the latter. */
function hasNearer(flags: ConnectionFlags, env: Env): boolean {
  if (flags.controller !== undefined) return false;
  if (flags.context === undefined && env['GODWIT_CONTROLLER']) return false;
  const chosen = chosenContext(flags, env);
  return (chosen?.agent ?? chosen?.lab) !== undefined;
}

/** A Unix socket needs no certificate, so other agents only get one that was given explicitly. */
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
  if (flags.manager !== undefined) return [await managerCandidate(flags.manager, flags, env)];
  const chosen = chosenContext(flags, env);
  const { isTyped = false } = chosen ?? {};
  if (flags.host !== undefined) {
    if (chosen !== undefined && isTyped && chosen.lab === undefined) throw lacksLab(chosen);
    const named = isTyped ? undefined : env['GODWIT_LAB'];
    return labCandidates(named || (chosen?.lab ?? DEFAULT_LAB), flags.host);
  }
  if (!isTyped && env['GODWIT_AGENT'])
    return [agentPlace('GODWIT_AGENT', env['GODWIT_AGENT'], flags, env)];
  if (!isTyped && env['GODWIT_LAB']) return labCandidates(env['GODWIT_LAB'], undefined);
  if (chosen?.agent !== undefined)
    return [agentPlace(`the agent of the context ${chosen.name}`, chosen.agent, flags, env)];
  if (chosen?.lab !== undefined) return labCandidates(chosen.lab, undefined);
  const unix = ownSocket(own);
  if (unix !== undefined)
    return [{ label: 'this host', transport: { unix, peer: "this host's agent" } }];
  if ((await findLab(DEFAULT_LAB)) !== undefined) return labCandidates(DEFAULT_LAB, undefined);
  const labs = await labNames();
  const [only] = labs;
  if (only !== undefined && labs.length === 1 && (await findLab(only)) !== undefined)
    return labCandidates(only, undefined);
  throw nobody();
}

async function managerCandidate(
  manager: string,
  flags: ConnectionFlags,
  env: Env,
): Promise<Candidate> {
  const where = controllerNamed({ ...flags, manager: undefined, atHost: false }, env);
  if (where === undefined) {
    throw usage(
      `--manager ${manager.slice(0, 80)} needs the controller that keeps it`,
      'Name it in GODWIT_CONTROLLER or in a context: `godwit context set NAME --controller WHERE`.',
    );
  }
  const agents = await managersOf(where, flags, env);
  const found = agents.find(({ label }) => label === manager);
  if (found !== undefined) return found;
  const near = didYouMean(
    manager,
    agents.map(({ label }) => label),
  );
  throw godwitError(
    'GODWIT_MANAGER_UNKNOWN',
    { manager: manager.slice(0, 80) },
    near === undefined ? {} : { hint: near },
  );
}

async function managersOf(where: string, flags: ConnectionFlags, env: Env): Promise<Candidate[]> {
  const transport = transportTo(where, flags, env);
  const { api, close } = client(controllerContract, transport);
  try {
    const { managers } = await api.managers();
    return managers.map(({ name: label }) => ({
      label,
      transport: { ...transport, under: `/v1/managers/${label}/agent` },
    }));
  } finally {
    close();
  }
}

async function labCandidates(name: string, host: string | undefined): Promise<Candidate[]> {
  const agents = await findLab(name);
  if (agents === undefined) throw await noLab(name);
  const chosen = host === undefined ? agents : agents.filter((each) => each.name === host);
  if (chosen.length === 0 && host !== undefined) {
    const hosts = agents.map((each) => each.name);
    throw noHost(host, hosts);
  }
  return chosen.map(({ name: label, agentSocket }) => ({
    label,
    transport: { unix: agentSocket, peer: `the agent of ${label} in lab ${name}` },
  }));
}

async function noLab(name: string): Promise<Error> {
  const near = didYouMean(name, await labNames());
  const hint =
    near === undefined
      ? {}
      : { hint: `${near} Or run \`./godwit lab up\` in a clone of Godwit first.` };
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
      hint: 'Set this host up with `godwit init`, start its agent with `systemctl start godwit-agent`, or name another one with --agent or --controller. To try Godwit, run `./godwit lab up` in a clone.',
    },
  );
}

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

function httpsPlace(what: string, where: string, flags: ConnectionFlags, env: Env): Candidate {
  const { address, name } = namedAgent(where, what);
  const shown = credentials(flags, chosenContext(flags, env)?.certificates);
  return { label: name, transport: { address, credentials: shown, expectedName: name } };
}

/** --host requires a lab, and the context names none. */
function lacksLab({ name }: ChosenContext): Error {
  return usage(
    `the context ${name} names no lab`,
    `Give --lab NAME, or have the context name it: \`godwit context set ${name} --lab NAME\`.`,
  );
}
