import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import { defined } from '../../protocol/defined.ts';
import { diskSocket, memorySocket } from '../../port/managed.ts';
import { LibvirtRefusal } from './rpc/connection.ts';
import type { Params, SentParams } from './rpc/params.ts';

/** The one call by which libvirt moves a guest, and what became of it as far as this process has heard. Pure. */

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
  /** It has a definition that lasts: that goes with the guest, and is gone at the source. */
  readonly isPersistent: boolean;
  readonly tls: boolean;
  readonly migrateUri?: string | undefined;
  /** Where memory that takes the wire is sent and expected, as libvirt names it. */
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
  // libvirt has zstd in parallel streams alone, of which one is enough.
  const isParallel = streams > 1 || compress === 'zstd';
  const flags = [
    FLAG.live,
    FLAG.peerToPeer,
    ...(isPersistent ? [FLAG.persistDestination, FLAG.undefineSource] : []),
    // The wire's links have TLS, and it can make nothing of what is encrypted already.
    ...(tls && !wire ? [FLAG.tls] : []),
    // It allows the switch to post-copy; the switch is a call of its own.
    ...(mode === 'precopy' ? [] : [FLAG.postCopy]),
    ...(isParallel ? [FLAG.parallel] : []),
    ...(compress === 'none' ? [] : [FLAG.compressed]),
    ...(copies.length > 0 ? [FLAG.nonSharedDisk] : []),
    ...(throttle === undefined ? [] : [FLAG.autoConverge]),
  ];
  const to = wire ? `unix://${memorySocket(sockets, { id, from })}` : migrateUri;
  const params: SentParams = {
    ...defined({ migrate_uri: to }),
    // libvirt counts in whole MiB/s, and takes 0 for no limit: no more than was asked for, but for less than one.
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
    // Without names libvirt would copy all that both hosts may not share.
    ...(copies.length > 0 ? { migrate_disks: copies.map(({ name }) => name) } : {}),
    ...(copies.length > 0 && wire
      ? { disks_uri: `unix://${diskSocket(sockets, { id, from })}` }
      : {}),
  };
  return { params, flags: flags.reduce((all, flag) => all | flag, 0) };
}

/** Post-copy has a limit of its own. */
function bandwidths(mibPerSecond: bigint, mode: ManagedOrder['mode']): Params {
  if (mode === 'precopy') return { bandwidth: mibPerSecond };
  return { bandwidth: mibPerSecond, 'bandwidth.postcopy': mibPerSecond };
}

/** Whether now is the time to switch to post-copy: at once, or once all memory has gone over; never where Godwit says when. `rounds`: those begun. */
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
  /** The daemon went before it said how the call ended. */
  | { readonly state: 'unheard' };

export function outcomeOf(thrown: unknown): Outcome {
  if (!(thrown instanceof LibvirtRefusal)) return { state: 'unheard' };
  const { code, message } = thrown.libvirt;
  const state = code === OPERATION_ABORTED ? 'cancelled' : 'failed';
  return { state, reason: message, cause: thrown };
}
