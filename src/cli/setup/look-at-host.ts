import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { FLEET_FILE } from '../../host/fleet.ts';
import { address, hostName, splitAddress, withHost } from '../../protocol/names.ts';
import { holderOfPort } from '../../rpc/port-holder.ts';
import { usage } from '../connection/credentials.ts';
import { nameFrom } from './configuration.ts';

/** Checks of init and join, before they write anything. */

const PORT = 7443;
/** Usual places of disks: libvirt's, Proxmox's, and the documentation's. */
const USUAL_STORAGE = [
  '/var/lib/libvirt/images',
  '/var/lib/vz/images',
  '/srv/images',
  '/srv/godwit',
] as const;

export function chosenName(given: string | undefined): string {
  const name = given ?? hereCalled();
  if (name !== undefined && hostName.safeParse(name).success) return name;
  const what =
    given === undefined
      ? "this machine's name cannot be a host's"
      : `${given.slice(0, 80)} is not a name`;
  throw usage(what, 'Name the host: `godwit init NAME`, of a-z, 0-9 and -.');
}

export function hereCalled(): string | undefined {
  return nameFrom(hostname());
}

export function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal, address: ip }) => !internal && !/^fe80:/i.test(ip))
    .map(({ address: ip }) => ip);
}

/** host:port of this host for others. GODWIT_USAGE if there are several or none. */
export function chosenAddress(given: string | undefined, port: number = PORT): string {
  const own = ownAddresses();
  const wanted = given ?? defaultRouteAddress() ?? (own.length === 1 ? own[0] : undefined);
  if (wanted === undefined) {
    const what = `this host has ${own.length === 0 ? 'no address' : `the addresses ${own.join(', ')}`}`;
    throw usage(what, 'Say how other hosts reach it: --address IP.');
  }
  const full = isIP(wanted) === 0 ? wanted : withHost(`x:${port}`, wanted);
  if (!address.safeParse(full).success || isIP(splitAddress(full).host) === 0) {
    throw usage(
      `--address: ${wanted.slice(0, 80)} is not an IP address, with or without :port`,
      'Write 10.0.0.1 or 10.0.0.1:7443.',
    );
  }
  return full;
}

function defaultRouteAddress(): string | undefined {
  try {
    const routes = readFileSync('/proc/net/route', 'utf8').split('\n').slice(1);
    const device = routes.map((line) => line.split('\t')).find(([, to]) => to === '00000000')?.[0];
    const found = device === undefined ? undefined : networkInterfaces()[device];
    return found?.find(({ family }) => family === 'IPv4')?.address;
  } catch {
    return undefined;
  }
}

/** GODWIT_CONFIG if this host does not have that address, or its port is taken. */
export async function checkAddress(file: string, wanted: string): Promise<void> {
  const { host, port } = splitAddress(wanted);
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const [what, hint] =
      code === 'EADDRINUSE'
        ? [
            `port ${port} of ${host} is taken${byWhom({ host, port })}`,
            `End that process, or choose another port.`,
          ]
        : code === 'EADDRNOTAVAIL'
          ? [`${host} is no address of this host`, `It has ${ownAddresses().join(', ') || 'none'}.`]
          : [
              `${wanted} cannot be listened on (${code ?? 'no reason given'})`,
              'Choose another address or port.',
            ];
    throw godwitError('GODWIT_CONFIG', { file, what: `address: ${what}` }, { hint, cause });
  } finally {
    server.close();
  }
}

function byWhom(at: { readonly host: string; readonly port: number }): string {
  const holder = holderOfPort(at);
  return holder === undefined ? '' : ` by ${holder.program}, process ${holder.pid}`;
}

/** The named directories, or the usual ones. GODWIT_USAGE for anything that is not a directory. */
export function chosenStorage(given: readonly string[] | undefined): string[] {
  const isDirectory = (each: string): boolean =>
    statSync(each, { throwIfNoEntry: false })?.isDirectory() === true;
  if (given === undefined) return USUAL_STORAGE.filter(isDirectory);
  const directories = given.map((each) => path.resolve(each));
  const wrong = directories.find((each) => !isDirectory(each));
  if (wrong === undefined) return directories;
  throw usage(`--storage: ${wrong} is no directory`, 'Make it, or mount it, first.');
}

export function checkIsNew(file: string): void {
  if (!existsSync(file)) return;
  const what = 'is there already: this host is set up';
  const hint = `Look at it with \`godwit doctor --config ${file}\`. To begin anew, move it away, with the stateDir that it names.`;
  throw godwitError('GODWIT_CONFIG', { file, what }, { hint });
}

/** GODWIT_PKI if there is a certificate or list of another fleet. */
export function checkHasNone(stateDir: string): void {
  const files = [path.join('pki', 'host.crt'), FLEET_FILE];
  const found = files.map((file) => path.join(stateDir, file)).find((file) => existsSync(file));
  if (found === undefined) return;
  const what = `${found} is there already, of another time or another CA`;
  const hint = 'Move it away first, or name another directory with --state-dir.';
  throw godwitError('GODWIT_PKI', { what }, { hint });
}
