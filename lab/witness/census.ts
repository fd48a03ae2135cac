import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from '../command.ts';
import { portIn, TCP_STATES, tcpSockets } from '../../src/system/kernel-tables.ts';
import { COMPILES_AHEAD } from '../../src/system/processes/small-process.ts';
import { inLab } from '../entry.ts';
import { processesInNamespaces } from '../processes.ts';
import type { Lab } from '../state.ts';

/**
 * Files that an agent keeps whether or not a guest moves: its fleet, the age of its directory, how busy its guests were, and a
 * certificate that it is about to have; half-written ones included.
 */
const OF_THE_AGENT = /^((fleet|store|guest-load)\.json(\.|$)|pki\/(renewal\.|host\.crt\.next$))/;

export function isOfTheAgent(file: string): boolean {
  return OF_THE_AGENT.test(file);
}

/** Everything of a host that a migration could leave behind. */
export interface HostCensus {
  readonly host: string;
  /** Command lines' first words, sorted: agents, movers, QEMUs. */
  readonly processes: readonly string[];
  readonly taps: readonly string[];
  /** Listening TCP ports. */
  readonly ports: readonly string[];
  /** Files and sockets below the host's state directory, relative to it, sorted. */
  readonly files: readonly string[];
}

/**
 * Counts what is on a host. Take it before and after and compare: records of migrations and of disks’ moves
 * (`migrations/`, `disk-moves/`) stay on purpose, so they are left out unless `records` is set.
 */
export async function hostCensus(
  lab: Lab,
  host: string,
  { records = false } = {},
): Promise<HostCensus> {
  const member = lab.members.find(({ name }) => name === host);
  const inode = member === undefined ? undefined : lab.namespaces[member.namespace];
  if (member === undefined || inode === undefined) throw new TypeError(`no host ${host}`);
  const [links, sockets, files] = await Promise.all([
    runCommand(inLab(lab.entry, ['ip', '-n', member.namespace, '-o', 'tuntap', 'list'])),
    runCommand(inLab(lab.entry, ['ip', 'netns', 'exec', member.namespace, 'cat', '/proc/net/tcp'])),
    readdir(member.stateDir, { recursive: true }),
  ]);
  // Afterwards: what asks the host is in its namespace for that moment.
  const processes = await processesInNamespaces(new Set([inode]));
  return {
    host,
    // An agent that has just started has programs compiled ahead, which end by themselves.
    processes: processes
      // Without words it has given its memory back already: it is ending, and which one it was cannot be known.
      .filter(({ argv }) => argv.length > 0 && !isCompiledAhead(argv.at(-1) ?? ''))
      .map(({ argv }) => shownProcess(argv))
      .toSorted(),
    taps: links
      .split('\n')
      .flatMap((line) => /^([^:]+):/.exec(line)?.[1] ?? [])
      .toSorted(),
    ports: listeningPorts(sockets),
    files: files
      .filter((file) => !isOfTheAgent(file))
      .filter((file) => records || !/^(migrations|disk-moves)/.test(file))
      .toSorted(),
  };
}

/** The census of every host of the lab. */
export async function labCensus(lab: Lab): Promise<HostCensus[]> {
  return Promise.all(lab.hosts.map((host) => hostCensus(lab, host)));
}

/** A mover at work has arguments. */
function isCompiledAhead(lastWord: string): boolean {
  return lastWord === COMPILES_AHEAD || /^mover\.[jt]s$/.test(path.basename(lastWord));
}

function shownProcess(argv: readonly string[]): string {
  const name = path.basename(argv[0] ?? '');
  const script = argv.slice(1).find((word) => /\.[jt]s$/.test(word));
  return script === undefined ? name : `${name} ${path.basename(script)}`;
}

/** From /proc/net/tcp. */
function listeningPorts(table: string): string[] {
  return tcpSockets(table)
    .filter(({ state }) => state === TCP_STATES.listen)
    .map(({ local }) => String(portIn(local)))
    .toSorted();
}
