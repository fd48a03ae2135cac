import { z } from 'zod';
import { defined } from './defined.ts';

/**
 * An image that hypervisors open with their own RBD client, in QEMU's notation: `rbd:POOL/IMAGE` or
 * `rbd:POOL/NAMESPACE/IMAGE`, then options, each after a colon: `id=USER`, `conf=FILE`, `keyring=FILE`.
 */
export interface RbdPlace extends RbdPool {
  readonly image: string;
}

export interface RbdPool {
  readonly pool: string;
  readonly namespace?: string;
  /** Ceph's `client.USER`; absent: `admin`. */
  readonly user?: string;
  /** Local files: the cluster's configuration, and the user's keyring. */
  readonly conf?: string;
  readonly keyring?: string;
  /** A file with only the key, for a QEMU that cannot read keyrings. */
  readonly keyFile?: string;
}

const NAME = String.raw`[A-Za-z0-9_][A-Za-z0-9._-]{0,60}`;
const POOL = new RegExp(`^${NAME}(?:/${NAME})?$`);
const PLACE = new RegExp(
  `^rbd:(${NAME})(?:/(${NAME}))?/(${NAME})((?::[a-z-]{1,32}=[^:\\\\]{0,1024})*)$`,
);
const FILE = /^\/[^:\\\0]{1,1000}$/;

export const rbdPoolName = z.string().max(123).regex(POOL, 'POOL or POOL/NAMESPACE');
export const rbdName = z
  .string()
  .max(61)
  .regex(new RegExp(`^${NAME}$`));
/** A file for Ceph's clients, whose paths cannot contain a colon. */
export const cephFile = z.string().max(1001).regex(FILE, 'an absolute path without a colon');

export function isRbd(file: string): boolean {
  return file.startsWith('rbd:');
}

/** Undefined for anything else, including snapshots. */
export function parseRbd(text: string): RbdPlace | undefined {
  const [, pool = '', namespace, image = '', settings = ''] = PLACE.exec(text.slice(0, 4096)) ?? [];
  if (pool === '') return undefined;
  const given = new Map(
    settings.split(':').map((each) => {
      const at = each.indexOf('=');
      return [each.slice(0, at), each.slice(at + 1)] as const;
    }),
  );
  const [user, conf] = [given.get('id'), given.get('conf')];
  const [keyring, keyFile] = [given.get('keyring'), given.get('keyfile')];
  return {
    pool,
    image,
    ...defined({ namespace, user, conf, keyring, keyFile }),
  };
}

/** `POOL/NAMESPACE/IMAGE` for Ceph's programs. */
export function imageSpec({ pool, namespace, image }: RbdPlace): string {
  return [pool, namespace, image].filter((part) => part !== undefined).join('/');
}

export function formatRbd(place: RbdPlace): string {
  const { user, conf, keyring, keyFile } = place;
  const settings = [
    ...(user === undefined ? [] : [`:id=${user}`]),
    ...(conf === undefined ? [] : [`:conf=${conf}`]),
    ...(keyring === undefined ? [] : [`:keyring=${keyring}`]),
    ...(keyFile === undefined ? [] : [`:keyfile=${keyFile}`]),
  ];
  return `rbd:${imageSpec(place)}${settings.join('')}`;
}
