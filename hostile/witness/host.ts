import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { isAlive, type ProcessIdentity } from '../../src/system/processes/process.ts';
import { inLab } from '../../lab/entry.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { labHost } from '../../lab/state.ts';
import { askQemu } from '../../lab/witness/monitor.ts';
import { hostsNow } from '../../test/e2e/support/remains.ts';
import type { World } from '../../test/e2e/support/world.ts';
import { until } from '../../test/until.ts';
import { COLLECTED } from './collects.ts';

/** A host from outside, by the kernel and by its guests: to be compared before and after. */

const run = promisify(execFile);

/** What must be the same once all is over. */
export interface HostState {
  readonly [part: string]: unknown;
}

/** What may grow, within bounds. */
export interface HostSize {
  readonly rssBytes: number;
  /** The same once all garbage is collected. */
  readonly keptRssBytes: number;
  /** Of these: what its objects and their buffers take. */
  readonly inUseBytes: number;
  readonly openFiles: number;
  readonly threads: number;
  /** Below the host's state directory. */
  readonly diskBytes: number;
}

/** Everything of all hosts that a migration, or somebody hostile, could leave behind or change. */
export async function hostState(world: World, target: string): Promise<HostState> {
  const hosts = await hostsNow(world.lab);
  const { lab } = world;
  const { namespace } = labHost(lab, target);
  const ip = async (...words: string[]): Promise<string[]> => {
    const [program = '', ...args] = inLab(lab.entry, ['ip', '-n', namespace, '-o', ...words]);
    const { stdout } = await run(program, args);
    return stdout
      .split('\n')
      .map(steady)
      .filter((line) => line !== '')
      .toSorted();
  };
  const census = Object.fromEntries(
    hosts.map(({ host, ...rest }) => [
      `${host}: processes, ports, files`,
      {
        ...rest,
        processes: rest.processes.filter((name) => name !== 'strace'),
        files: rest.files.filter((file) => !STANDBYS.test(file)),
      },
    ]),
  );
  return {
    ...census,
    links: await ip('link', 'show'),
    addresses: await ip('address', 'show'),
    routes: [...(await ip('route', 'show', 'table', 'all')), ...(await ip('-6', 'route', 'show'))],
    rules: await ip('rule', 'show'),
    namespaces: readdirSync('/run/netns').filter((name) => name.startsWith(namespace.slice(0, -1))),
  };
}

/**
 * What another host has this one keep of its guests, for its own death: a file each, by host and guest, as many as the
 * agent allows, and one for when that host confirmed them. How much it all comes to is judged by `diskBytes`.
 */
const STANDBYS = /^standbys(\/[a-z0-9-]+(\/([A-Za-z0-9][A-Za-z0-9._-]*\.json|confirmed))?)?$/;

/** Without what the kernel counts: times to live and numbers of links that come and go. */
function steady(line: string): string {
  return line.replaceAll(/\b(expires|valid_lft|preferred_lft) \d+sec/g, '').trim();
}

export async function hostSize(
  world: World,
  target: string,
  agent: ProcessIdentity,
): Promise<HostSize> {
  const number = (name: string): number => {
    const status = readFileSync(`/proc/${agent.pid}/status`, 'utf8');
    return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  };
  const rssBytes = number('VmRSS') * 1024;
  const inUseBytes = await collectGarbage(world, target, agent);
  return {
    rssBytes,
    keptRssBytes: number('VmRSS') * 1024,
    inUseBytes,
    threads: number('Threads'),
    openFiles: readdirSync(`/proc/${agent.pid}/fd`).length,
    diskBytes: bytesBelow(labHost(world.lab, target).stateDir),
  };
}

/** What is in use afterwards, bytes. Needs the agent that has collects.ts; 0 where it has ended. */
async function collectGarbage(
  { lab }: World,
  target: string,
  agent: ProcessIdentity,
): Promise<number> {
  const { agentLog } = labHost(lab, target);
  const said = (): string[] => readFileSync(agentLog, 'utf8').split(`${COLLECTED}: `).slice(1);
  const before = said().length;
  if (!isAlive(agent)) return 0;
  process.kill(agent.pid, 'SIGUSR2');
  await until('the agent to collect its garbage', 30_000, async () =>
    said().length > before || !isAlive(agent) ? true : undefined,
  );
  return Number.parseInt(said().at(-1) ?? '0', 10);
}

function bytesBelow(dir: string): number {
  let sum = 0;
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    sum += statSync(path.join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return sum;
}

/** Guests that stand by: the one looks at its own memory and disk, of the other QEMU reports all that it has. */
export async function guestsState(
  world: World,
  target: string,
  guests: { readonly calm: string; readonly moved: string },
): Promise<HostState> {
  const { ok, badChunks, badDiskChunks, hash } = await verifyGuest(world.lab, guests.calm);
  const monitor = path.join(labHost(world.lab, target).stateDir, 'guests', guests.moved);
  const asked = ['query-status', 'query-chardev', 'query-named-block-nodes', 'query-migrate'];
  const reported: Record<string, unknown> = {};
  for (const command of asked) {
    reported[`${guests.moved}: ${command}`] = await askQemu(
      path.join(monitor, 'qmp.sock'),
      command,
    );
  }
  const { pid } = await world.agent(target).guest({ params: { guest: guests.moved } });
  return { [guests.calm]: { ok, badChunks, badDiskChunks, hash }, ...reported, pid };
}

/** What differs between two states, a line for each part. */
export function differences(before: HostState, after: HostState): string[] {
  const parts = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...parts].flatMap((part) => {
    const [one, other] = [before[part], after[part]].map((each) => JSON.stringify(each));
    return one === other ? [] : [`${part} was ${one}, and is ${other}`];
  });
}

export function agentProblems(agent: ProcessIdentity, before: HostSize, after: HostSize): string[] {
  if (!isAlive(agent)) return ['the agent has ended'];
  const problems: string[] = [];
  if (after.keptRssBytes > MAX_AGENT_BYTES)
    problems.push(`the agent has ${after.keptRssBytes} bytes once its garbage is collected`);
  if (after.openFiles > before.openFiles + MORE_FILES)
    problems.push(`the agent has ${after.openFiles} files open, it had ${before.openFiles}`);
  if (after.diskBytes > before.diskBytes + MORE_DISK_BYTES)
    problems.push(`${after.diskBytes} bytes are kept, it were ${before.diskBytes}`);
  return problems;
}

const MIB = 1024 ** 2;
/** What an agent may have is 120 MB; the rest is for pages of which a part is in use. */
const MAX_AGENT_BYTES = 160 * MIB;
/** Connections of clients that have just gone. */
const MORE_FILES = 16;
/** A thousand ended migrations are kept, with their journals and logs. */
const MORE_DISK_BYTES = 96 * MIB;
