/**
 * A realm of Kerberos on the loopback: Debian's krb5-kdc, with all its files in one folder. It is a witness that knows nothing
 * of Godwit. Names and keys are made by its own kadmin.local.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const REALM = 'GODWIT.TEST';
const TOOL_MS = 20_000;

export interface Realm {
  readonly dir: string;
  /** For clients, servers and tools of this realm. */
  readonly env: NodeJS.ProcessEnv;
  /** Holds the keys of its services. */
  readonly keytab: string;
  readonly port: number;
  /** What its KDC has said. */
  readonly said: string[];
  /** One command of kadmin.local. */
  administer(command: string): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export async function makeRealm(root: string, dir: string): Promise<Realm> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const [libraries] = globSync(path.join(root, 'usr/lib/*/krb5')).map(path.dirname);
  if (libraries === undefined) throw new Error('krb5-kdc is not there');
  const port = await freePort();
  const files = { client: path.join(dir, 'krb5.conf'), kdc: path.join(dir, 'kdc.conf') };
  writeFileSync(files.client, clientConfiguration(port, libraries));
  writeFileSync(files.kdc, kdcConfiguration(port, dir, libraries));
  const keytab = path.join(dir, 'keytab');
  const env = {
    LD_LIBRARY_PATH: libraries,
    KRB5_CONFIG: files.client,
    KRB5_KDC_PROFILE: files.kdc,
    KRB5_KTNAME: keytab,
    KRB5RCACHENAME: `dfl:`,
    KRB5RCACHEDIR: dir,
  };
  const options = { env: { PATH: process.env['PATH'], ...env }, timeout: TOOL_MS };
  const tool = (name: string, ...args: string[]) =>
    run(path.join(root, 'usr/sbin', name), ['-r', REALM, ...args], options);
  await tool('kdb5_util', '-P', 'master', 'create', '-s');
  const said: string[] = [];
  let kdc: ChildProcess | undefined;
  return {
    dir,
    env,
    keytab,
    port,
    said,
    administer: async (command) => {
      await tool('kadmin.local', '-q', command);
    },
    start: async () => {
      kdc = await begun(
        path.join(root, 'usr/sbin/krb5kdc'),
        ['-n', '-r', REALM],
        options.env,
        said,
      );
    },
    stop: async () => {
      await ended(kdc);
      kdc = undefined;
    },
  };
}

async function begun(
  file: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  said: string[],
): Promise<ChildProcess> {
  const child = spawn(file, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const { promise, resolve, reject } = Promise.withResolvers<ChildProcess>();
  createInterface({ input: child.stderr }).on('line', (line) => {
    said.push(line);
    if (line.includes('commencing operation')) resolve(child);
  });
  child.once('exit', () => reject(new Error(`the KDC did not start: ${said.join(' ')}`)));
  return promise;
}

export async function ended(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function clientConfiguration(port: number, libraries: string): string {
  return `[libdefaults]
  default_realm = ${REALM}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  udp_preference_limit = 1
  plugin_base_dir = ${libraries}/krb5/plugins
[realms]
  ${REALM} = {
    kdc = 127.0.0.1:${port}
  }
`;
}

function kdcConfiguration(port: number, dir: string, libraries: string): string {
  return `[kdcdefaults]
  kdc_listen = 127.0.0.1:${port}
  kdc_tcp_listen = 127.0.0.1:${port}
[realms]
  ${REALM} = {
    database_name = ${dir}/principal
    key_stash_file = ${dir}/stash
    max_life = 1h
  }
[dbmodules]
  db_module_dir = ${libraries}/krb5/plugins/kdb
[logging]
  kdc = STDERR
`;
}
