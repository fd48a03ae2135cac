import { z } from 'zod';
import { hostName } from '../../protocol/names.ts';

/** Connection to one vCenter, and its hosts' names. */
const vcenter = z.strictObject({
  /** https://HOST[:PORT] of the vCenter. */
  url: z
    .string()
    .max(256)
    .refine(isPlainHttps, 'https://HOST[:PORT]; user and password have options of their own'),
  user: z.string().min(1).max(256),
  /** File with only the password, readable by its owner (mode 0600). */
  passwordFile: z.string().min(1).max(4096),
  /** SHA-256 of the vCenter's certificate in hex, with or without colons; only that certificate is accepted. */
  fingerprint: z
    .string()
    .transform((text) => text.replaceAll(':', '').toLowerCase())
    .pipe(z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 fingerprint: 64 hex digits'))
    .optional(),
  /** PEM file of the CA; without it and a fingerprint, the system's CAs. */
  ca: z.string().min(1).max(4096).optional(),
  /** Godwit's name -> vCenter's name, for hosts whose derived name is not wanted. */
  hosts: z.record(hostName, z.string().min(1).max(256)).default({}),
  /** Simultaneous calls per session. */
  connections: z.number().int().min(1).max(16).default(4),
});
export type Vcenter = z.infer<typeof vcenter>;

/** Configuration `drivers.vsphere`; present if this agent drives a vCenter. */
export const vsphereOptions = vcenter.extend({
  /** Other vCenters to which guests may move, by names that the user chooses. */
  others: z.record(hostName, vcenter).default({}),
});
export type VsphereOptions = z.infer<typeof vsphereOptions>;

/** Place of the options in the configuration, for hints. */
export const SECTION = 'drivers.vsphere';

export function otherSection(name: string): string {
  return `${SECTION}.others.${name}`;
}

function isPlainHttps(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return protocol === 'https:' && username === '' && password === '';
}
