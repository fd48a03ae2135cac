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
/** A host as Windows names it, or its domain name. */
const windowsHost = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,254}$/, 'a host name of Windows');
const text = z.string().min(1).max(256);
const file = z.string().min(1).max(4096);

/** `drivers.hyperv` of the configuration: it is there where this agent speaks for a Hyper-V host. */
export const hypervOptions = z
  .strictObject({
    /** WinRM of the Hyper-V host that this agent speaks for: https://HOST:5986/wsman */
    url,
    /** `DOMAIN\user`, `user@domain`, or a user of the host's own. */
    user: text,
    /** Holds the password alone; mode 0600. */
    passwordFile: file,
    /** kerberos: with a user of a domain (`user@DOMAIN.EXAMPLE`), at hosts that are named and not numbered. */
    auth: z.enum(['ntlm', 'kerberos', 'basic']).default('ntlm'),
    /** SHA-256 of the certificate of its WinRM listener; absent: a CA vouches for it. */
    fingerprint: fingerprint.optional(),
    /** PEM file of the CA; absent: those that Node trusts. */
    ca: file.optional(),
    /** How Godwit reaches WinRM of another host: {host} is its name. */
    peers: url.default('https://{host}:5986/wsman'),
    /** The same for single hosts, by the names that Godwit gives them. */
    hosts: z
      .record(
        z.string().max(63),
        z.strictObject({
          url: url.optional(),
          fingerprint: fingerprint.optional(),
          /** As Hyper-V hosts reach it; by default what is in its url. */
          name: windowsHost.optional(),
          /** A folder there that takes disks from local storage: such a guest moves with its storage. */
          storage: text.optional(),
        }),
      )
      .default({}),
    /** How memory goes over: as the host is set, or one of its three ways. */
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

/** Where another host's WinRM is, and how Hyper-V names that host. */
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
