import { z } from 'zod';
import { defined } from './defined.ts';

/**
 * A file that hypervisors open with their own NFS client, in QEMU's notation: `nfs://SERVER/PATH` without escapes, and
 * `?uid=U&gid=G` for another user than the program's.
 */
export interface NfsPlace {
  readonly host: string;
  /** Absolute, at the server. */
  readonly path: string;
  readonly user?: number;
  readonly group?: number;
}

/** Neither `..` nor `?`, which starts the settings. */
const SEGMENT = String.raw`(?!\.{1,2}(?:/|\?|$))[^/?\0]{1,255}`;
const HOST = String.raw`[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})`;
const EXPORT = new RegExp(`^nfs://${HOST}(?:/${SEGMENT}){1,64}$`);
const PLACE = new RegExp(`^nfs://(${HOST})((?:/${SEGMENT}){1,64})(?:\\?([^/\\0]{1,256}))?$`);

export const nfsUrl = z.string().max(1024).regex(EXPORT, 'nfs://SERVER/PATH of an NFS export');
export const numericId = z.number().int().nonnegative().max(0xffff_fffe);

export function isNfs(file: string): boolean {
  return file.startsWith('nfs://');
}

export function parseNfs(text: string): NfsPlace | undefined {
  const [, host = '', path = '', settings = ''] = PLACE.exec(text.slice(0, 8192)) ?? [];
  if (host === '') return undefined;
  const given = new URLSearchParams(settings);
  const idOf = (name: string): number | undefined => {
    const held = given.get(name) ?? '';
    return /^\d{1,10}$/.test(held) ? numericId.safeParse(Number(held)).data : undefined;
  };
  const [user, group] = [idOf('uid'), idOf('gid')];
  return {
    host,
    path,
    ...defined({ user, group }),
  };
}

export function formatNfs({ host, path, user, group }: NfsPlace): string {
  const settings = [
    ...(user === undefined ? [] : [`uid=${user}`]),
    ...(group === undefined ? [] : [`gid=${group}`]),
  ];
  return `nfs://${host}${path}${settings.length === 0 ? '' : `?${settings.join('&')}`}`;
}
