import type { Sharing } from '../cache/scope.ts';
import type { LevelChange } from './policy.ts';
import type { Kind } from './records.ts';
import type { Pack } from './pack.ts';
import type { CodecSettings } from './settings.ts';

/** The host's cache as a thread opens it. */
export interface ThreadCache {
  readonly directory: string;
  readonly mostBytes: number;
  /** The site's secret, alike on all its hosts. */
  readonly secret: Uint8Array;
  readonly sharing: Exclude<Sharing, { with: 'none' }>;
  /** The other host: what was exchanged with it is all that it learns of. */
  readonly peer: string;
  /** Whether the circle's seeds may be used towards the peer. */
  readonly seeds: boolean;
  /** What the guest's places held at the end of its last migration; absent: nobody asks. */
  readonly places?: ThreadPlaces;
}

export interface ThreadPlaces {
  /** Read at the start, written at the end. */
  readonly file: string;
  /** A power of two, best the number of the guest's pages; both sides' alike. */
  readonly cells: number;
  /** `placesDigest` of the far side; where this side's differs, both start with none. */
  readonly farDigest: string;
}

export interface ThreadStart {
  readonly settings: CodecSettings;
  /** Of the running hash; both sides' alike. */
  readonly seed: bigint;
  readonly cache: ThreadCache | undefined;
}

export interface EncodeStart extends ThreadStart {
  /** Processors that compression may take. */
  readonly cores: number;
  /** What the link is said to carry, until it is measured. */
  readonly saidBytesPerS?: number | undefined;
  /** The far side's summary of its cache. */
  readonly farSummary: Uint8Array;
}

export interface DecodeStart extends ThreadStart {
  readonly mostHeldBytes: number;
  /** Names in the summary, at most. */
  readonly mostSummaryNames: number;
}

/** Bytes that may wait in either direction between the threads. */
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
  /** A pack was encoded: its memory, to be filled again. */
  | { readonly type: 'taken'; readonly memory: SharedArrayBuffer }
  | { readonly type: 'flushed'; readonly id: number }
  /** The answer that was handed over first was taken. */
  | { readonly type: 'answered' }
  | { readonly type: 'closed'; readonly tally: EncodeTally };

/** What an encoder has to say when it is done. */
export interface EncodeTally {
  /** Items by how they were encoded. */
  readonly encoded: Readonly<Record<Kind, number>>;
  readonly levelChanges: readonly LevelChange[];
  /** Contents that the far side asked for. */
  readonly misses: number;
}

export type ToDecoder =
  | { readonly type: 'bytes'; readonly bytes: Uint8Array<ArrayBuffer> }
  /** A pack was given: its memory, to be filled again. */
  | { readonly type: 'given'; readonly memory: SharedArrayBuffer }
  | { readonly type: 'close' };

export type FromDecoder =
  | { readonly type: 'ready'; readonly summary: Uint8Array<ArrayBuffer> }
  | { readonly type: 'items'; readonly pack: Pack }
  | { readonly type: 'answer'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: 'taken'; readonly bytes: number }
  | { readonly type: 'closed' };
