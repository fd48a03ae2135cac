import { z } from 'zod';

/**
 * A LUN of an iSCSI target that hypervisors open with a client of their own, as QEMU writes it:
 * `iscsi://HOST:PORT/TARGET/LUN`, and at its end `?initiator=NAME` where it is opened under a name of the host's choice,
 * `user=NAME&password-file=FILE` where the target wants a login. The password itself is in no name.
 */
export interface IscsiPlace extends IscsiTarget {
  readonly lun: number;
}

export interface IscsiTarget {
  /** Of the portal; an address of IPv6 stands in brackets. */
  readonly host: string;
  readonly port: number;
  /** The target's name: `iqn.`, `eui.` or `naa.`. */
  readonly target: string;
  /** The initiator name by which it is opened; absent: QEMU's own. */
  readonly initiator?: string;
  /** As whom one logs in (CHAP), and the file here that holds the password: both or neither. */
  readonly user?: string;
  readonly passwordFile?: string;
}

const DEFAULT_PORT = 3260;
/** With a path of a file, of which each byte may be escaped. */
const MAX_TEXT = 1024 + 3 * 4096;
/** What a LUN's number is at most: QEMU's client and Godwit's send it as two bytes. */
const MAX_LUN = 0xffff;

const HOST = String.raw`(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])`;
const NAME = String.raw`(?:iqn|eui|naa)\.[A-Za-z0-9._:-]{1,219}`;
const TARGET = new RegExp(`^iscsi://${HOST}(?::\\d{1,5})?/${NAME}$`);
const PLACE = new RegExp(
  `^iscsi://(${HOST})(?::(\\d{1,5}))?/(${NAME})(?:/(\\d{1,5}))?(?:\\?(.*))?$`,
);

/** A target, as configurations name it. */
export const iscsiTargetUrl = z
  .string()
  .max(512)
  .regex(TARGET, 'iscsi://HOST[:PORT]/TARGET of an iSCSI target');
/** The name of a target or an initiator. */
export const iscsiName = z
  .string()
  .max(223)
  .regex(new RegExp(`^${NAME}$`), 'a name as iqn.2001-04.com.example:storage');
/** Of a login. */
export const iscsiUser = z
  .string()
  .max(223)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:@+-]*$/, 'letters, digits and . _ : @ + -');
export const lunNumber = z.number().int().nonnegative().max(MAX_LUN);

export function isIscsi(file: string): boolean {
  return file.startsWith('iscsi://');
}

/** Undefined where `text` is no LUN. */
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

/** Undefined where `text` is no target. */
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
