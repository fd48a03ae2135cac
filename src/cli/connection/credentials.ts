import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import type { ConnectionFlags } from '../context.ts';

const AGENT_PORT = 7443;
const HTTPS_PORT = 443;

/** `https://[name@]host[:port]`; the name is the one in the host's certificate. GODWIT_USAGE for anything else. */
export function namedAgent(
  where: string,
  flag = '--agent',
  usualPort = AGENT_PORT,
): { readonly address: string; readonly name: string } {
  const url = URL.canParse(where) ? new URL(where) : undefined;
  if (url === undefined || url.hostname === '') {
    throw usage(
      `${flag}: ${where.slice(0, 80)} is not https://host:port`,
      `Write it like https://b.example.net:${usualPort}.`,
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
  // A URL drops HTTPS's default port even if it was typed.
  const [place = ''] = where.split('?', 1);
  const isTyped = /:\d+\/?$/.test(place);
  const port = url.port || String(isTyped ? HTTPS_PORT : usualPort);
  return { address: `${url.hostname}:${port}`, name: expectedName };
}

/** File names in a folder of certificates, by preference: a person's before a host's. */
const OWN_NAMES = ['operator', 'viewer', 'client', 'host'];

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

export function usage(what: string, hint: string): Error {
  return godwitError('GODWIT_USAGE', { what }, { hint });
}
