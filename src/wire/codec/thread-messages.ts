import type { Sharing } from '../cache/scope.ts';
import type { LevelChange } from './policy.ts';
import type { Kind } from './records.ts';
import type { Pack } from './pack.ts';
import type { CodecSettings } from './settings.ts';

export interface ThreadCache {
  readonly directory: string;
  readonly mostBytes: number;
  /** Site's secret, equal on all its hosts. */
  readonly secret: Uint8Array;
  readonly sharing: Exclude<Sharing, { with: 'none' }>;
  /** Other host, which learns only of contents exchanged with it. */
  readonly peer: string;
  /** The circle's seeds may be used for the peer. */
  readonly seeds: boolean;
  /** Guest's places at the end of its last migration; absent if not used. */
  readonly places?: ThreadPlaces;
}

export interface ThreadPlaces {
  /** Read at the start, written at the end. */
  readonly file: string;
  /** Power of two, ideally the guest's page count; equal on both sides. */
  readonly cells: number;
  /** `placesDigest` of the far side; if it differs from this side's, both start empty. */
  readonly farDigest: string;
}

export interface ThreadStart {
  readonly settings: CodecSettings;
  /** Seed of the running hash; equal on both sides. */
  readonly seed: bigint;
  readonly cache: ThreadCache | undefined;
}

export interface EncodeStart extends ThreadStart {
  readonly cores: number;
  /** Assumed rate of the link until it is measured. */
  readonly saidBytesPerS?: number | undefined;
  readonly farSummary: Uint8Array;
}

export interface DecodeStart extends ThreadStart {
  readonly mostHeldBytes: number;
  readonly mostSummaryNames: number;
}

/** Bytes that may wait between the threads in each direction. */
export const MAX_BETWEEN_BYTES = 2 * 1024 * 1024;

export type ToEncoder =
  | { readonly type: 'items'; readonly pack: Pack }
  | { readonly type: 'flush'; readonly id: number }
  | { readonly type: 'push' }
  | { readonly type: 'link'; readonly bytesPerS: number }
  | { readonly type: 'answer'; readonly bytes: Uint8Array }
  | { readonly type: 'sent'; readonly bytes: number }
  | { readonly type: 'close' };

export type FromEncoder =
  | { readonly type: 'frame'; readonly bytes: Uint8Array<ArrayBuffer> }
  /** Memory of an encoded pack, to be reused. */
  | { readonly type: 'taken'; readonly memory: SharedArrayBuffer }
  | { readonly type: 'flushed'; readonly id: number }
  /** The oldest answer was taken. */
  | { readonly type: 'answered' }
  | { readonly type: 'closed'; readonly tally: EncodeTally };

export interface EncodeTally {
  readonly encoded: Readonly<Record<Kind, number>>;
  readonly levelChanges: readonly LevelChange[];
  readonly misses: number;
}

export type ToDecoder =
  | { readonly type: 'bytes'; readonly bytes: Uint8Array<ArrayBuffer> }
  /** Memory of a given pack, to be reused. */
  | { readonly type: 'given'; readonly memory: SharedArrayBuffer }
  | { readonly type: 'close' };

export type FromDecoder =
  | { readonly type: 'ready'; readonly summary: Uint8Array<ArrayBuffer> }
  | { readonly type: 'items'; readonly pack: Pack }
  | { readonly type: 'answer'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: 'taken'; readonly bytes: number }
  | { readonly type: 'closed' };
