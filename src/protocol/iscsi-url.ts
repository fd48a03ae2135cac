import { z } from 'zod';

/**
 * A LUN that hypervisors open with their own iSCSI client, in QEMU's notation: `iscsi://HOST:PORT/TARGET/LUN`, with
 * `?initiator=NAME` for a chosen initiator name, and `user=NAME&password-file=FILE` for a login. The password itself is
 * never part of it.
 */
export interface IscsiPlace extends IscsiTarget {
  readonly lun: number;
}

export interface IscsiTarget {
  readonly host: string;
  readonly port: number;
  readonly target: string;
  readonly initiator?: string;
  /** CHAP user, and the local file with the password: both or neither. */
  readonly user?: string;
  readonly passwordFile?: string;
}

const DEFAULT_PORT = 3260;
/** Includes a file path with every byte escaped. */
const MAX_TEXT = 1024 + 3 * 4096;
/** QEMU's and Godwit's clients send two bytes. */
const MAX_LUN = 0xffff;

const HOST = String.raw`(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])`;
const NAME = String.raw`(?:iqn|eui|naa)\.[A-Za-z0-9._:-]{1,219}`;
const TARGET = new RegExp(`^iscsi://${HOST}(?::\\d{1,5})?/${NAME}$`);
const PLACE = new RegExp(
  `^iscsi://(${HOST})(?::(\\d{1,5}))?/(${NAME})(?:/(\\d{1,5}))?(?:\\?(.*))?$`,
);

export const iscsiTargetUrl = z
  .string()
  .max(512)
  .regex(TARGET, 'iscsi://HOST[:PORT]/TARGET of an iSCSI target');
export const iscsiName = z
  .string()
  .max(223)
  .regex(new RegExp(`^${NAME}$`), 'a name as iqn.2001-04.com.example:storage');
export const iscsiUser = z
  .string()
  .max(223)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:@+-]*$/, 'letters, digits and . _ : @ + -');
export const lunNumber = z.number().int().nonnegative().max(MAX_LUN);

export function isIscsi(file: string): boolean {
  return file.startsWith('iscsi://');
}

export function parseIscsi(text: string): IscsiPlace | undefined {
  const [, host = '', port, target = '', number, settings] =
    PLACE.exec(text.slice(0, MAX_TEXT)) ?? [];
  const lun = lunNumber.safeParse(Number(number ?? Number.NaN));
  if (host === '' || !lun.success) return undefined;
  const given = new URLSearchParams(settings ?? '');
  const initiator = iscsiName.safeParse(given.get('initiator'));
  const user = iscsiUser.safeParse(given.get('user'));
  const passwordFile = given.get('password-file') ?? '';
  return {
    host,
    port: Number(port ?? DEFAULT_PORT),
    target,
    lun: lun.data,
    ...(initiator.success ? { initiator: initiator.data } : {}),
    ...(user.success && passwordFile.startsWith('/') ? { user: user.data, passwordFile } : {}),
  };
}

export function parseIscsiTarget(text: string): IscsiTarget | undefined {
  const found = parseIscsi(`${text}/0`);
  if (found === undefined) return undefined;
  const { lun: _lun, ...target } = found;
  return target;
}

export function formatIscsi(place: IscsiPlace): string {
  const { host, port, target, lun, initiator, user, passwordFile } = place;
  const settings = [
    ...(initiator === undefined ? [] : [`initiator=${initiator}`]),
    ...(user === undefined || passwordFile === undefined
      ? []
      : [`user=${encodeURIComponent(user)}`, `password-file=${encodeURIComponent(passwordFile)}`]),
  ].join('&');
  const end = settings === '' ? '' : `?${settings}`;
  return `iscsi://${host}:${port}/${target}/${lun}${end}`;
}
