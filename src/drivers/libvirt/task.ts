import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import { defined } from '../../protocol/defined.ts';
import { diskSocket, memorySocket } from '../../port/managed.ts';
import { LibvirtRefusal } from './rpc/connection.ts';
import type { Params, SentParams } from './rpc/params.ts';

/** Parameters of the libvirt call that moves a guest, and its outcome in this process. Pure. */

/** virDomainMigrateFlags */
const FLAG = {
  live: 1,
  peerToPeer: 2,
  persistDestination: 8,
  undefineSource: 16,
  nonSharedDisk: 64,
  compressed: 2048,
  postCopy: 32_768,
  tls: 65_536,
  parallel: 131_072,
  autoConverge: 8192,
} as const;
const OPERATION_ABORTED = 78;
const MIB = 1024 ** 2;

export interface TaskFacts {
  /** The persistent definition moves with the guest and is removed at the source. */
  readonly isPersistent: boolean;
  readonly tls: boolean;
  readonly migrateUri?: string | undefined;
  /** libvirt's folder for the sockets of memory through the wire. */
  readonly sockets: string;
}

export function migrateCall(
  {
    id,
    from,
    mode,
    maxBandwidth,
    streams,
    compress,
    throttle,
    wire = false,
    copies = [],
  }: ManagedOrder,
  { isPersistent, tls, migrateUri, sockets }: TaskFacts,
): { readonly params: SentParams; readonly flags: number } {
  // libvirt supports zstd only with parallel streams; one is enough.
  const isParallel = streams > 1 || compress === 'zstd';
  const flags = [
    FLAG.live,
    FLAG.peerToPeer,
    ...(isPersistent ? [FLAG.persistDestination, FLAG.undefineSource] : []),
    // The wire's links use TLS, and the wire cannot reduce encrypted memory.
    ...(tls && !wire ? [FLAG.tls] : []),
    // Permits the switch to post-copy, which is a separate call.
    ...(mode === 'precopy' ? [] : [FLAG.postCopy]),
    ...(isParallel ? [FLAG.parallel] : []),
    ...(compress === 'none' ? [] : [FLAG.compressed]),
    ...(copies.length > 0 ? [FLAG.nonSharedDisk] : []),
    ...(throttle === undefined ? [] : [FLAG.autoConverge]),
  ];
  const to = wire ? `unix://${memorySocket(sockets, { id, from })}` : migrateUri;
  const params: SentParams = {
    ...defined({ migrate_uri: to }),
    // libvirt counts in whole MiB/s, with 0 for no limit. The value is rounded down, but is at least 1.
    ...(maxBandwidth === undefined
      ? {}
      : bandwidths(BigInt(Math.max(1, Math.floor(maxBandwidth / MIB))), mode)),
    ...(throttle === undefined
      ? {}
      : {
          'auto_converge.initial': throttle.initial,
          'auto_converge.increment': throttle.increment,
        }),
    ...(isParallel ? { 'parallel.connections': streams } : {}),
    ...(compress === 'none' ? {} : { compression: compress }),
    // Without names, libvirt would copy every disk that may not be shared.
    ...(copies.length > 0 ? { migrate_disks: copies.map(({ name }) => name) } : {}),
    ...(copies.length > 0 && wire
      ? { disks_uri: `unix://${diskSocket(sockets, { id, from })}` }
      : {}),
  };
  return { params, flags: flags.reduce((all, flag) => all | flag, 0) };
}

/** Post-copy has a separate limit. */
function bandwidths(mibPerSecond: bigint, mode: ManagedOrder['mode']): Params {
  if (mode === 'precopy') return { bandwidth: mibPerSecond };
  return { bandwidth: mibPerSecond, 'bandwidth.postcopy': mibPerSecond };
}

/**
 * True if post-copy is due: at once, or after the first full pass; never if Godwit's steering decides. `rounds`:
 * passes begun.
 */
export function isPostCopyDue(
  { mode, steered = false }: Pick<ManagedOrder, 'mode' | 'steered'>,
  rounds: number,
): boolean {
  if (steered) return false;
  switch (mode) {
    case 'precopy':
    case 'cold':
      return false;
    case 'postcopy':
      return rounds >= 1;
    case 'hybrid':
      return rounds >= 2;
  }
}

export type Outcome =
  | { readonly state: 'under way' }
  | { readonly state: 'done' }
  | {
      readonly state: 'failed' | 'cancelled';
      readonly reason: string;
      readonly cause: LibvirtRefusal;
    }
  /** The daemon ended before it reported the call's outcome. */
  | { readonly state: 'unheard' };

export function outcomeOf(thrown: unknown): Outcome {
  if (!(thrown instanceof LibvirtRefusal)) return { state: 'unheard' };
  const { code, message } = thrown.libvirt;
  const state = code === OPERATION_ABORTED ? 'cancelled' : 'failed';
  return { state, reason: message, cause: thrown };
}
