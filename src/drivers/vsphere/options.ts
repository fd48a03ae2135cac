import { z } from 'zod';
import { hostName } from '../../protocol/names.ts';

/** How one vCenter is reached, and what its hosts are called. */
const vcenter = z.strictObject({
  /** https://HOST[:PORT] of the vCenter. */
  url: z
    .string()
    .max(256)
    .refine(isPlainHttps, 'https://HOST[:PORT]; user and password have options of their own'),
  user: z.string().min(1).max(256),
  /** A file with the password alone, which only its owner may read (mode 0600). */
  passwordFile: z.string().min(1).max(4096),
  /** SHA-256 of the vCenter's certificate, as hex, with or without colons: that certificate and no other. */
  fingerprint: z
    .string()
    .transform((text) => text.replaceAll(':', '').toLowerCase())
    .pipe(z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 fingerprint: 64 hex digits'))
    .optional(),
  /** A file with the CA that signed it, PEM; without it and without a fingerprint, the CAs of this system. */
  ca: z.string().min(1).max(4096).optional(),
  /** Godwit's name of a host -> the vCenter's, where the name that follows from the vCenter's own is not wanted. */
  hosts: z.record(hostName, z.string().min(1).max(256)).default({}),
  /** Calls to the vCenter at a time, of one session. */
  connections: z.number().int().min(1).max(16).default(4),
});
export type Vcenter = z.infer<typeof vcenter>;

/** `drivers.vsphere` of the configuration; it is there where this agent drives a vCenter. */
export const vsphereOptions = vcenter.extend({
  /** Other vCenters that guests of this one may go to, by names of the user's choice. */
  others: z.record(hostName, vcenter).default({}),
});
export type VsphereOptions = z.infer<typeof vsphereOptions>;

/** Where its options stand in the configuration, for those who have to change one. */
export const SECTION = 'drivers.vsphere';

export function otherSection(name: string): string {
  return `${SECTION}.others.${name}`;
}

function isPlainHttps(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return protocol === 'https:' && username === '' && password === '';
}
