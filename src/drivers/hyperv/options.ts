import { isIP } from 'node:net';
import { z } from 'zod';
import { principalOf } from './wsman/kerberos/principal.ts';

const url = z
  .string()
  .max(256)
  .refine((text) => URL.canParse(text.replaceAll('{host}', 'h')), 'a URL')
  .refine(hasNoSecret, 'a URL without user and password: they have options of their own')
  .refine(
    (text) => text.startsWith('https://'),
    'https:// only: over plain HTTP the messages would have to be encrypted by NTLM or Kerberos, which Godwit does not do',
  );
const fingerprint = z
  .string()
  .transform((text) => text.replaceAll(':', '').toLowerCase())
  .pipe(z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256: 64 hex digits'));
/** Windows host name or domain name. */
const windowsHost = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,254}$/, 'a host name of Windows');
const text = z.string().min(1).max(256);
const file = z.string().min(1).max(4096);

/** Configuration `drivers.hyperv`; present if this agent drives a Hyper-V host. */
export const hypervOptions = z
  .strictObject({
    /** WinRM of the Hyper-V host: https://HOST:5986/wsman */
    url,
    /** `DOMAIN\user`, `user@domain`, or a local user. */
    user: text,
    /** File with only the password; mode 0600. */
    passwordFile: file,
    /** kerberos requires a domain user (`user@DOMAIN.EXAMPLE`) and hosts with names instead of addresses. */
    auth: z.enum(['ntlm', 'kerberos', 'basic']).default('ntlm'),
    /** SHA-256 of its WinRM certificate; absent: a CA must have signed it. */
    fingerprint: fingerprint.optional(),
    /** PEM file of the CA; absent: Node's CAs. */
    ca: file.optional(),
    /** WinRM of another host; {host} is its name. */
    peers: url.default('https://{host}:5986/wsman'),
    /** Exceptions by Godwit's host name. */
    hosts: z
      .record(
        z.string().max(63),
        z.strictObject({
          url: url.optional(),
          fingerprint: fingerprint.optional(),
          /** Name for Hyper-V hosts; default: the host in its url. */
          name: windowsHost.optional(),
          /** Folder for disks from local storage; such a guest moves with its storage. */
          storage: text.optional(),
        }),
      )
      .default({}),
    /** Memory transport: the host's setting, or one of the three kinds. */
    transport: z.enum(['host', 'tcp', 'compression', 'smb']).default('host'),
  })
  .superRefine(({ auth, user, url: own, hosts }, context) => {
    if (auth !== 'kerberos') return;
    if (principalOf(user) === undefined) {
      const message = 'Kerberos needs a user of a domain: name@DOMAIN.EXAMPLE';
      context.addIssue({ code: 'custom', path: ['user'], message });
    }
    const urls: [string[], string | undefined][] = [
      [['url'], own],
      ...Object.entries(hosts).map(([name, each]): [string[], string | undefined] => [
        ['hosts', name, 'url'],
        each.url,
      ]),
    ];
    for (const [path, each] of urls) {
      if (each === undefined || !isAddress(each)) continue;
      const message = 'Kerberos knows hosts by name: write the name and not an address';
      context.addIssue({ code: 'custom', path, message });
    }
  })
  .describe('drivers.hyperv');
export type HypervOptions = z.infer<typeof hypervOptions>;

function hasNoSecret(text: string): boolean {
  const plain = text.replaceAll('{host}', 'h');
  if (!URL.canParse(plain)) return true;
  const { username, password } = new URL(plain);
  return username === '' && password === '';
}

function isAddress(url: string): boolean {
  if (!URL.canParse(url)) return false;
  return isIP(new URL(url).hostname.replaceAll(/^\[|\]$/g, '')) !== 0;
}

/** WinRM address of another host, and its name for Hyper-V. */
export interface Peer {
  readonly url: string;
  readonly fingerprint?: string | undefined;
  readonly name: string;
  readonly storage?: string | undefined;
}

export function peerOf({ peers, hosts }: HypervOptions, host: string): Peer {
  const own = Object.hasOwn(hosts, host) ? hosts[host] : undefined;
  const reached = own?.url ?? peers.replaceAll('{host}', host);
  return {
    url: reached,
    fingerprint: own?.fingerprint,
    name: own?.name ?? new URL(reached).hostname,
    storage: own?.storage,
  };
}
