/** An acceptor of NTLM or Kerberos by libraries of Debian: brought by setup, started with what it knows. */
import { execFile, spawn } from 'node:child_process';
import { globSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../../src/system/files/cache-directory.ts';

const run = promisify(execFile);
const REPO = path.resolve(import.meta.dirname, '../../..');
const BRING_MS = 300_000;

export interface Acceptor {
  /** Hands over a message of the client, and resolves to the answer: a message, `ok NAME [MESSAGE]` or `error WORDS`. */
  step(message: Buffer): Promise<string>;
  end(): void;
}

/** Where setup has put it. */
export async function bringPart(part: 'ntlm' | 'kerberos'): Promise<string> {
  await run('bash', ['tools/setup.sh', '--only', part], { cwd: REPO, timeout: BRING_MS });
  return path.join(cacheDirectory(), part, 'root');
}

/** What a server needs to know NTLM's mechanism and its users, lines `DOMAIN:user:password`. `dir`: for its files. */
export function ntlmEnvironment(root: string, dir: string, users: string): NodeJS.ProcessEnv {
  const [mechanism] = globSync(path.join(root, 'usr/lib/*/gssntlmssp/gssntlmssp.so'));
  if (mechanism === undefined) throw new Error('gss-ntlmssp is not there');
  const [file, configuration] = [path.join(dir, 'users'), path.join(dir, 'mech.conf')];
  writeFileSync(file, users, { mode: 0o600 });
  writeFileSync(configuration, `gssntlmssp_v1 1.3.6.1.4.1.311.2.2.10 ${mechanism}\n`);
  return {
    LD_LIBRARY_PATH: path.dirname(path.dirname(mechanism)),
    GSS_MECH_CONFIG: configuration,
    NTLM_USER_FILE: file,
    NETBIOS_COMPUTER_NAME: 'SRV',
    NETBIOS_DOMAIN_NAME: 'DOMAIN',
  };
}

/** `hash`: of the server's certificate, in hex. */
export function startAcceptor(
  root: string,
  mechanism: 'ntlm' | 'kerberos',
  { env, hash }: { readonly env: NodeJS.ProcessEnv; readonly hash?: string | undefined },
): Acceptor {
  const program = path.join(import.meta.dirname, 'gss-acceptor.py');
  const args = [program, mechanism, ...(hash === undefined ? [] : [hash])];
  const child = spawn('python3', args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      PYTHONPATH: path.join(root, 'usr/lib/python3/dist-packages'),
      ...env,
    },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    step: async (message) => {
      child.stdin.write(`${message.toString('base64')}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error('the acceptor ended without an answer');
      return value;
    },
    end: () => void child.kill(),
  };
}
