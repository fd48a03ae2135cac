import type { ErrorCode } from '../errors.ts';
import type { Route } from './route.ts';

/** Authentication comes first. */
const NOT_LET_IN = [
  'GODWIT_PEER_UNTRUSTED',
  'GODWIT_CERT_EXPIRED',
  'GODWIT_CERT_REVOKED',
  'GODWIT_NOT_A_MEMBER',
  'GODWIT_LIST_EXPIRED',
  'GODWIT_LIST_DAMAGED',
  'GODWIT_ROLE_FORBIDDEN',
] as const satisfies ErrorCode[];

/** An invalid request, an overload, a timeout, or a defect of Godwit. */
const OF_EVERY_ROUTE = [
  'GODWIT_PROTOCOL_INVALID',
  'GODWIT_TOO_LARGE',
  'GODWIT_OVERLOADED',
  'GODWIT_DEADLINE',
  'GODWIT_INTERNAL',
] as const satisfies ErrorCode[];

export const LOOKING = [
  'GODWIT_HOST_LACKS',
  'GODWIT_PRIVILEGE',
  'GODWIT_CONFIG',
  'GODWIT_HYPERVISOR',
  'GODWIT_HYPERVISOR_LOST',
  'GODWIT_MANAGER_DENIED',
  'GODWIT_MANAGER_VERSION',
  'GODWIT_MONITOR_UNREACHABLE',
  'GODWIT_UNREACHABLE',
] as const satisfies ErrorCode[];

export const BY_ID = [
  'GODWIT_MIGRATION_UNKNOWN',
  'GODWIT_JOURNAL',
  'GODWIT_JOURNAL_DAMAGED',
  'GODWIT_REQUEST_DAMAGED',
] as const satisfies ErrorCode[];

export const STARTING = [
  'GODWIT_CONFIG',
  'GODWIT_PKI',
  'GODWIT_PRIVILEGE',
  'GODWIT_HOST_LACKS',
  'GODWIT_PORT_NONE',
  'GODWIT_PATH_LONG',
  'GODWIT_JOURNAL',
  'GODWIT_JOURNAL_DAMAGED',
  'GODWIT_REQUEST_DAMAGED',
  'GODWIT_UNREACHABLE',
] as const satisfies ErrorCode[];

/** Finds a guest of this host and attaches to it. */
export const TAKING_HOLD = [
  ...LOOKING,
  'GODWIT_GUEST_UNKNOWN',
  'GODWIT_GUEST_BUSY',
  'GODWIT_GUEST_MANAGED',
  'GODWIT_GUEST_STATE',
  'GODWIT_GUEST_STUCK',
  'GODWIT_CAPABILITY',
  'GODWIT_DISK_MOVING',
  'GODWIT_JOURNAL_DAMAGED',
  'GODWIT_REQUEST_DAMAGED',
] as const satisfies ErrorCode[];

export const CHECKED = [
  'GODWIT_ACCELERATOR',
  'GODWIT_CPU_FEATURE',
  'GODWIT_CPU_VENDOR',
  'GODWIT_DESCRIPTION_REFUSED',
  'GODWIT_DEVICE_UNMAPPED',
  'GODWIT_DEVICE_UNMOVABLE',
  'GODWIT_DISK_CACHE',
  'GODWIT_DISK_FORMAT',
  'GODWIT_DISK_LOCAL',
  'GODWIT_DISK_MISSING',
  'GODWIT_DISK_PLACE',
  'GODWIT_DISK_REPLACED',
  'GODWIT_DISK_SPACE',
  'GODWIT_MACHINE_TYPE',
  'GODWIT_MANAGER_REFUSES',
  'GODWIT_MEMORY_SHORT',
  'GODWIT_HOST_CLOSED',
  'GODWIT_NAME_IN_USE',
  'GODWIT_PORT_UNBOUND',
  'GODWIT_PROTOCOL_VERSION',
  'GODWIT_TOO_MANY',
  'GODWIT_USAGE',
] as const satisfies ErrorCode[];

/** A controller names its request and the epoch of its claim. */
export const ORDERED = ['GODWIT_ORDER_STALE', 'GODWIT_USAGE'] as const satisfies ErrorCode[];

export const OTHER_HOST = [
  'GODWIT_HOST_UNKNOWN',
  'GODWIT_UNREACHABLE',
  'GODWIT_PROTOCOL_VERSION',
] as const satisfies ErrorCode[];

export const BEGINNING = [
  'GODWIT_USAGE',
  ...TAKING_HOLD,
  ...STARTING,
  'GODWIT_HOST_UNKNOWN',
  'GODWIT_SAME_HOST',
  'GODWIT_ID_REUSED',
] as const satisfies ErrorCode[];

/** All errors of a route; undefined: any of the table. */
export function errorsOf({ access, errors }: Route): readonly ErrorCode[] | undefined {
  if (errors === undefined) return undefined;
  const all = [...OF_EVERY_ROUTE, ...(access === 'anyone' ? [] : NOT_LET_IN), ...errors];
  return [...new Set<ErrorCode>(all)];
}

export const CANCELLING = [
  ...BY_ID,
  ...STARTING,
  ...ORDERED,
  ...OTHER_HOST,
  'GODWIT_CANCEL_TOO_LATE',
  'GODWIT_MIGRATION_OF_REQUEST',
] as const satisfies ErrorCode[];
