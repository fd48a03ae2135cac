import { z } from 'zod';
import { defined } from './defined.ts';

/**
 * An image of Ceph's RBD that hypervisors open with a client of their own, as QEMU writes it: `rbd:POOL/IMAGE` or
 * `rbd:POOL/NAMESPACE/IMAGE`, and after it, each behind a colon, how it is opened: `id=USER`, `conf=FILE`, `keyring=FILE`.
 */
export interface RbdPlace extends RbdPool {
  readonly image: string;
}

export interface RbdPool {
  readonly pool: string;
  readonly namespace?: string;
  /** Whom Ceph knows as `client.USER`; absent: `admin`. */
  readonly user?: string;
  /** Files of this host: where the cluster is, and the user's key. */
  readonly conf?: string;
  readonly keyring?: string;
  /** A file that holds the key alone, for a QEMU that may not read the keyring. */
  readonly keyFile?: string;
}

const NAME = String.raw`[A-Za-z0-9_][A-Za-z0-9._-]{0,60}`;
const POOL = new RegExp(`^${NAME}(?:/${NAME})?$`);
const PLACE = new RegExp(
  `^rbd:(${NAME})(?:/(${NAME}))?/(${NAME})((?::[a-z-]{1,32}=[^:\\\\]{0,1024})*)$`,
);
const FILE = /^\/[^:\\\0]{1,1000}$/;

/** A pool, or a namespace in one, as configurations name it. */
export const rbdPoolName = z.string().max(123).regex(POOL, 'POOL or POOL/NAMESPACE');
export const rbdName = z
  .string()
  .max(61)
  .regex(new RegExp(`^${NAME}$`));
/** A file for Ceph's clients, which take no colon in a path. */
export const cephFile = z.string().max(1001).regex(FILE, 'an absolute path without a colon');

export function isRbd(file: string): boolean {
  return file.startsWith('rbd:');
}

/** Undefined where `text` is no image: a snapshot is none. */
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

/** `POOL/NAMESPACE/IMAGE`, as Ceph's programs take it. */
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
