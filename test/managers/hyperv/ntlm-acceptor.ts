/** Debian's own acceptor of NTLM (gss-ntlmssp): brought by setup, started with the users that it knows. */
import { execFile, spawn } from 'node:child_process';
import { globSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../../src/host/cache-directory.ts';

const run = promisify(execFile);
const REPO = path.resolve(import.meta.dirname, '../../..');
const BRING_MS = 300_000;

export interface Acceptor {
  /** Hands over a message of the client, and resolves to the answer: a message, `ok NAME` or `error WORDS`. */
  step(message: Buffer): Promise<string>;
  end(): void;
}

/** Where setup has put it. */
export async function bringAcceptor(): Promise<string> {
  await run('bash', ['tools/setup.sh', '--only', 'ntlm'], { cwd: REPO, timeout: BRING_MS });
  return path.join(cacheDirectory(), 'ntlm/root');
}

/** `dir`: for its files. `users`: lines `DOMAIN:user:password`. `hash`: of the server's certificate, in hex. */
export function startAcceptor(
  root: string,
  dir: string,
  { users, hash }: { readonly users: string; readonly hash?: string | undefined },
): Acceptor {
  const [mechanism] = globSync(path.join(root, 'usr/lib/*/gssntlmssp/gssntlmssp.so'));
  if (mechanism === undefined) throw new Error('gss-ntlmssp is not there');
  const [file, configuration] = [path.join(dir, 'users'), path.join(dir, 'mech.conf')];
  writeFileSync(file, users, { mode: 0o600 });
  writeFileSync(configuration, `gssntlmssp_v1 1.3.6.1.4.1.311.2.2.10 ${mechanism}\n`);
  const program = path.join(import.meta.dirname, 'ntlm-acceptor.py');
  const child = spawn('python3', [program, ...(hash === undefined ? [] : [hash])], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      PYTHONPATH: path.join(root, 'usr/lib/python3/dist-packages'),
      LD_LIBRARY_PATH: path.dirname(path.dirname(mechanism)),
      GSS_MECH_CONFIG: configuration,
      NTLM_USER_FILE: file,
      NETBIOS_COMPUTER_NAME: 'SRV',
      NETBIOS_DOMAIN_NAME: 'DOMAIN',
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
