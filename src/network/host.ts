import { readFile, writeFile } from 'node:fs/promises';
import { withDeadline } from '../deadline.ts';
import { godwitError, hasCode } from '../errors.ts';
import {
  parseAddresses,
  parseForwarding,
  parseLinks,
  parseNeighbours,
  parseRoutes,
  parseVlans,
  type NetworkFacts,
  type Route,
} from './facts.ts';
import { undoing, type Command, type OwnRoute, type Step } from './handover.ts';
import { networkTool, type NetworkTool } from './ip.ts';
import { readOvs } from './openvswitch.ts';
import { hasDefaultMetric } from './routed.ts';

const READ_MS = 10_000;
const STEP_MS = 5000;

/** Limits the reading; a host may have a million routes. */
export interface NetworkScope {
  readonly ports?: readonly string[];
  /** Routes to these addresses, with their lengths. */
  readonly routes?: readonly string[];
}

/** Reads this host's network with its tools. GODWIT_HOST_LACKS if one is missing. */
export async function readNetwork(scope: NetworkScope, signal: AbortSignal): Promise<NetworkFacts> {
  return withDeadline('reading the network', READ_MS, signal, async (inner) => {
    const read = (tool: NetworkTool, ...words: string[]) => outputOf(tool, words, inner);
    const [links, addresses, neighbours, forwarding, vlans, routes, ovsPorts, proxies] =
      await Promise.all([
        read('ip', '-j', '-d', 'link', 'show'),
        read('ip', '-j', 'addr', 'show'),
        read('ip', '-j', 'neigh', 'show'),
        ifThere(read('bridge', '-j', 'fdb', 'show')),
        ifThere(read('bridge', '-j', 'vlan', 'show')),
        readRoutes(scope, inner),
        readOvs(inner),
        readProxies(scope.ports ?? []),
      ]);
    return {
      links: parseLinks(links),
      addresses: parseAddresses(addresses),
      neighbours: parseNeighbours(neighbours),
      forwarding: parseForwarding(forwarding),
      vlans: parseVlans(vlans),
      routes,
      ovsPorts,
      ...proxies,
    };
  });
}

const ROUTES_AT_ONCE = 4;

async function readRoutes(scope: NetworkScope, signal: AbortSignal): Promise<Route[]> {
  const { ports = [], routes = [] } = scope;
  const overPorts = ports.flatMap((dev) =>
    ['-4', '-6'].map(async (family) => {
      const answer = await networkTool('ip', ['-j', family, 'route', 'show', 'dev', dev], signal);
      // A missing port has no routes.
      if (answer.status !== 0) return [];
      return parseRoutes(answer.output).map((route) => ({ ...route, dev }));
    }),
  );
  const found: Route[] = (await Promise.all(overPorts)).flat();
  const left = [...new Set(routes)];
  // Another host chooses the number, and each look-up starts a program.
  const worker = async (): Promise<void> => {
    for (let route = left.shift(); route !== undefined; route = left.shift()) {
      const family = route.includes(':') ? '-6' : '-4';
      const words = ['-j', family, 'route', 'show', 'exact', route];
      found.push(...parseRoutes(await outputOf('ip', words, signal)));
    }
  };
  await Promise.all(Array.from({ length: ROUTES_AT_ONCE }, worker));
  return found;
}

async function readProxies(
  ports: readonly string[],
): Promise<Pick<NetworkFacts, 'proxyArp' | 'proxyNdp'>> {
  const [proxyArp, proxyNdp] = [new Set<string>(), new Set<string>()];
  for (const port of ports) {
    if (await isOn(`ipv4/conf/${port}/proxy_arp`)) proxyArp.add(port);
    if (await isOn(`ipv6/conf/${port}/proxy_ndp`)) proxyNdp.add(port);
  }
  return { proxyArp, proxyNdp };
}

async function isOn(key: string): Promise<boolean> {
  const text = await readFile(`/proc/sys/net/${key}`, 'utf8').catch(() => '0');
  return text.trim() !== '0';
}

async function outputOf(
  tool: NetworkTool,
  words: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const answer = await networkTool(tool, words, signal);
  if (answer.status === 0) return answer.output;
  const what = `an answer of \`${tool} ${words.join(' ')}\`: ${answer.reason}`;
  throw godwitError('GODWIT_HOST_LACKS', { what });
}

/** Without the tool, its kind of network is not in use. */
async function ifThere(output: Promise<string>): Promise<string> {
  try {
    return await output;
  } catch (thrown) {
    if (hasCode(thrown, 'GODWIT_HOST_LACKS')) return '';
    throw thrown;
  }
}

/** Runs steps in order; after a failure, undoes the earlier ones and throws the error. */
export async function carryOut(steps: readonly Step[], signal: AbortSignal): Promise<void> {
  for (const [index, step] of steps.entries()) {
    try {
      await carry(step, signal);
    } catch (thrown) {
      await takeBack(steps.slice(0, index + 1), AbortSignal.timeout(STEP_MS));
      throw thrown;
    }
  }
}

/** Runs every step, because there is no way back. Throws the first error at the end. */
export async function carryOn(steps: readonly Step[], signal: AbortSignal): Promise<void> {
  let failure: Error | undefined;
  for (const step of steps) {
    try {
      await carry(step, signal);
    } catch (thrown) {
      failure ??= thrown instanceof Error ? thrown : new Error(String(thrown));
    }
  }
  if (failure !== undefined) throw failure;
}

async function carry(step: Step, signal: AbortSignal): Promise<void> {
  const isThere = await command(step.does, step.run, signal);
  if (isThere && step.route !== undefined) await mustBeOurs(step.route, signal);
}

/** The kernel refuses a second route to an address. A route over the guest's port is this migration's. */
async function mustBeOurs({ to, port }: OwnRoute, signal: AbortSignal): Promise<void> {
  const width = to.includes(':') ? 128 : 32;
  const found = await readRoutes({ routes: [to] }, signal);
  const there = found.filter((route) => hasDefaultMetric(route, { width }));
  if (there.length > 0 && there.every(({ dev }) => dev === port)) return;
  const over = there.map(({ dev, gateway }) => dev ?? gateway ?? 'several paths');
  throw godwitError('GODWIT_ROUTE_TAKEN', { route: to, port, over: over.join(', ') || 'none' });
}

/** Undoes what it can, last first; ignores missing things. */
async function takeBack(steps: readonly Step[], signal: AbortSignal): Promise<void> {
  for (const undo of undoing(steps)) await command('undo', undo, signal).catch(() => undefined);
}

/** Errors of a repeated step, which are not failures. */
const ALREADY = /File exists|Device or resource busy/i;
const GONE = /No such (process|file|device)|Cannot find device|does not exist/i;

/** True if its result already existed. */
async function command(does: string, run: Command, signal: AbortSignal): Promise<boolean> {
  return withDeadline(does, STEP_MS, signal, async (inner) => {
    if (run.tool === 'sysctl') {
      await writeFile(`/proc/sys/net/${run.key}`, run.value);
      return false;
    }
    const { status, reason } = await networkTool(run.tool, run.words, inner);
    if (status === 0) return false;
    if (run.words.includes('add') && ALREADY.test(reason)) return true;
    if (run.words.includes('del') && GONE.test(reason)) return false;
    if (/not permitted|denied/i.test(reason)) {
      throw godwitError('GODWIT_PRIVILEGE', { what: does, needs: 'CAP_NET_ADMIN' });
    }
    throw godwitError('GODWIT_HOST_LACKS', { what: `what it takes to ${does}: ${reason}` });
  });
}
