/** What is on the hosts, read from outside: processes, links, ports and files. Imports nothing of what it judges. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { PortSettings } from './orders.ts';

const run = promisify(execFile);

export interface HostState {
  readonly host: string;
  readonly processes: readonly string[];
  readonly links: readonly string[];
  readonly ports: readonly string[];
  readonly files: readonly string[];
}

export interface HostPlaces {
  readonly host: string;
  readonly namespace: string;
  readonly stateDir: string;
  readonly storageDir: string;
}

/** Files that agents keep whether or not a guest moves. */
const KEPT =
  /^state\/(guests|migrations|disk-moves|cache|pki|(fleet|store|guest-load|expected)\.json)(\/|\.|$)/;
/** The directory of the records of receivers; a record itself is gone once its receiver has ended. */
const KEPT_DIRECTORY = 'state/receivers';
/** They answer once more for a move that is over, and end by themselves; looked for at the end of all runs. */
const PASSING = /^(ip|cat|sh|ss|bash|timeout|head|sleep)$|mover\.ts/;
/** A port of a guest. */
const PORT = /^(tap\d|gw[0-9a-f]{8}n|vnet\d)/;
/** Made by the owner, and removed by it. */
const OWNED = /^(mtap\d|br1$)/;
/** Takes the room of a file system; made by the owner, and removed by it. */
export const FILLER = '.filler';
const LISTEN = '0A';

export async function hostStates(all: readonly HostPlaces[]): Promise<HostState[]> {
  return Promise.all(
    all.map(async ({ host, namespace, stateDir, storageDir }) => {
      const inHost = ['netns', 'exec', namespace];
      const [links, sockets] = await Promise.all([
        run('ip', ['-n', namespace, '-o', 'link']),
        run('ip', [...inHost, 'cat', '/proc/net/tcp']),
      ]);
      return {
        host,
        processes: processesIn(namespace),
        links: [...links.stdout.matchAll(/^\d+: ([^:@]+)/gm)].map(([, name = '']) => name),
        ports: listeningPorts(sockets.stdout),
        files: [...filesBelow('state', stateDir), ...filesBelow('storage', storageDir)],
      };
    }),
  );
}

/** A port of a guest in a bridge. */
export interface Port extends PortSettings {
  readonly name: string;
  readonly bridge: string;
}

interface BridgeLink {
  readonly ifname: string;
  readonly master?: string;
  readonly isolated?: boolean;
  readonly flood?: boolean;
}

/** The ports of guests in the bridges of a host, but for those that an owner plugged in. */
export async function portsIn(namespace: string): Promise<Port[]> {
  const [links, queues] = await Promise.all([
    run('bridge', ['-n', namespace, '-d', '-j', 'link']),
    run('tc', ['-n', namespace, '-j', 'qdisc', 'show']),
  ]);
  const limits = JSON.parse(queues.stdout) as { dev: string; kind: string }[];
  return (JSON.parse(links.stdout) as BridgeLink[]).flatMap((link) => {
    const { ifname, master = '', isolated = false, flood = true } = link;
    if (!PORT.test(ifname)) return [];
    const limited = limits.some(({ dev, kind }) => dev === ifname && kind === 'tbf');
    return [{ name: ifname, bridge: master, isolated, flood, limited }];
  });
}

function processesIn(namespace: string): string[] {
  const wanted = `net:[${statSync(`/run/netns/${namespace}`).ino}]`;
  return readdirSync('/proc').flatMap((name) => {
    try {
      if (!/^\d+$/.test(name) || readlinkSync(`/proc/${name}/ns/net`) !== wanted) return [];
      const argv = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const script = argv.slice(1).find((word) => word.endsWith('.ts'));
      const program = path.basename(argv[0] ?? '');
      return program === ''
        ? []
        : [script === undefined ? program : `node ${path.basename(script)}`];
    } catch {
      return [];
    }
  });
}

function listeningPorts(table: string): string[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    return state === LISTEN ? [String(parseInt(local.split(':')[1] ?? '', 16))] : [];
  });
}

function filesBelow(name: string, directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const at = path.join(name, path.relative(directory, path.join(entry.parentPath, entry.name)));
    // An empty directory on storage is the owner's.
    return name === 'storage' && entry.isDirectory() ? [] : [at];
  });
}

/** What `now` has more than `before`, without what belongs to the guest where it is. Pure. */
export function remainsOf(
  before: readonly HostState[],
  now: readonly HostState[],
  guest: {
    readonly name: string;
    readonly at: readonly string[];
    readonly owned: readonly string[];
  },
): string[] {
  return now.flatMap((state) => {
    const was = before.find(({ host }) => host === state.host);
    const isHere = guest.at.includes(state.host);
    const own = (file: string): boolean =>
      guest.owned.some((each) => file.startsWith(each)) ||
      (isHere && new RegExp(`^(state/guests|storage)/${guest.name}(/|-|$)`).test(file));
    const processes = state.processes.filter((each) => !PASSING.test(each));
    const found = [
      ...more(processes, was?.processes ?? []).filter(
        (each) => !isHere || !each.startsWith('qemu'),
      ),
      ...more(state.links, was?.links ?? [])
        .filter((each) => !OWNED.test(each) && (!isHere || !PORT.test(each)))
        .map((each) => `link ${each}`),
      ...more(state.files, was?.files ?? []).filter(
        (each) => !own(each) && !isKept(each, guest.name),
      ),
    ];
    return found.map((what) => `${state.host}: ${what}`);
  });
}

function isKept(file: string, guest: string): boolean {
  return (
    file.startsWith('state/cache/') ||
    file === KEPT_DIRECTORY ||
    file === `storage/${FILLER}` ||
    (KEPT.test(file) && !file.includes(`/${guest}`))
  );
}

function more(have: readonly string[], had: readonly string[]): string[] {
  const left = [...had];
  return have.filter((each) => {
    const at = left.indexOf(each);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}
