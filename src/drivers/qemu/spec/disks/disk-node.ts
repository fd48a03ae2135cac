import { isRecord } from '../../../../formats/json.ts';
import type { LiveNode } from './disk-facts.ts';
import { MAX_TIMEOUT_S, type BlockNode } from './disk-schema.ts';
import type { DriveOptions, NodeOptions } from './disk-options.ts';
import { parseBytes, switchValue, type Scalar } from '../options.ts';

export interface ImageSettings {
  readonly settings: Omit<BlockNode, 'node' | 'file' | 'backing' | 'format'>;
  readonly obstacles: readonly string[];
  readonly cacheProblem: string | undefined;
  readonly changes: readonly string[];
}

export interface ImageNodes {
  readonly image: LiveNode;
  readonly file: LiveNode;
  /** Equals `file` without a format layer. */
  readonly imageOptions: NodeOptions;
  readonly fileOptions: NodeOptions;
}

const TUNING_SWITCHES = [
  'lazy-refcounts',
  'pass-discard-request',
  'pass-discard-snapshot',
  'pass-discard-other',
  'discard-no-unref',
] as const;
const TUNING_NUMBERS = [
  'cache-size',
  'l2-cache-size',
  'l2-cache-entry-size',
  'refcount-cache-size',
  'cache-clean-interval',
] as const;

const COMMON = ['driver', 'node-name', 'discard', 'cache', 'read-only', 'auto-read-only'];
const KNOWN = new Set([
  ...COMMON,
  'force-share',
  'detect-zeroes',
  'file',
  'backing',
  'filename',
  'aio',
  'aio-max-batch',
  'locking',
  'drop-cache',
  'overlap-check',
  ...TUNING_SWITCHES,
  ...TUNING_NUMBERS,
]);
/** Options of QEMU's NFS client. The destination sets the address and user itself; the others control reading. */
const READING = ['readahead-size', 'page-cache-size'] as const;
const KNOWN_OF_NFS = new Set([
  ...'server path user group tcp-syn-count debug'.split(' '),
  ...READING,
]);
/** Options of QEMU's iSCSI client: the LUN and its user. */
const KNOWN_OF_ISCSI = new Set(
  'transport portal target lun initiator-name user password password-secret header-digest timeout'.split(
    ' ',
  ),
);
const KNOWN_OF_RBD = new Set(
  'pool namespace image snapshot conf user server auth-client-required key-secret'.split(' '),
);
const KNOWN_OF_CLIENTS: Readonly<Record<string, ReadonlySet<string>>> = {
  nfs: KNOWN_OF_NFS,
  iscsi: KNOWN_OF_ISCSI,
  rbd: KNOWN_OF_RBD,
};
const NONE: ReadonlySet<string> = new Set();
const KNOWN_OF_DRIVES = new Set([
  ...KNOWN,
  ...'if id index bus unit media format readonly werror rerror snapshot copy-on-read'.split(' '),
]);

/** Facts of a plugged-in image that only the running process shows. */
export interface ImageObservation {
  readonly unmaps: number;
  readonly nativeAio: boolean;
}

export function settingsOf(nodes: ImageNodes, seen: ImageObservation): ImageSettings {
  const { image, file, imageOptions, fileOptions } = nodes;
  const plugged = imageOptions.by === 'nobody';
  const aio = plugged && seen.nativeAio ? 'native' : aioOf(fileOptions);
  const passes = plugged ? passesDiscards(nodes, seen) : undefined;
  const discard = plugged ? (passes === false ? 'ignore' : 'unmap') : discardOf(imageOptions);
  const locking = textOf(settingOf(fileOptions, 'locking')) === 'off' ? 'off' : 'auto';
  return {
    settings: {
      readOnly: image.readOnly,
      direct: file.direct,
      discard,
      fileDiscard: plugged ? discard : discardOf(fileOptions),
      detectZeroes: image.detectZeroes,
      aio: aio === 'native' && file.direct ? 'native' : 'threads',
      locking,
      tuning: tuningOf(imageOptions),
      ...timeoutOf(nodes),
    },
    obstacles: obstaclesOf(nodes),
    cacheProblem: cacheProblem(image, file, fileOptions),
    changes: [
      ...(plugged && passes === undefined && !image.readOnly
        ? ['passes discards on at the destination: QEMU does not report whether it does here']
        : []),
      ...(aio === 'io_uring' ? ['is read by threads at the destination, not by io_uring'] : []),
      ...(locking === 'off'
        ? ['is opened with an image lock, unless its `storage` there says `locks: false`']
        : []),
      ...(READING.some((key) => fileOptions.given[key] !== undefined)
        ? ['is opened without a read-ahead or a page cache of its NFS client']
        : []),
      ...(image.volatileBitmaps > 0 ? ['leaves its dirty bitmaps in memory behind'] : []),
    ],
  };
}

function obstaclesOf({ image, file, imageOptions, fileOptions }: ImageNodes): string[] {
  const found: string[] = [];
  for (const { given, by } of new Set([imageOptions, fileOptions])) {
    const known = by === 'drive' && given['file'] !== undefined ? KNOWN_OF_DRIVES : KNOWN;
    const ofClient = KNOWN_OF_CLIENTS[file.driver] ?? NONE;
    // A raw image may have a `size` below its file's; the full size equals no `size`.
    const isWhole = (key: string): boolean => key === 'size' && image.bytes === file.bytes;
    const unknown = Object.keys(given).find(
      (key) =>
        !known.has(key) &&
        !ofClient.has(key) &&
        !isThrottle(key) &&
        !isWhole(key) &&
        !isOfLuks(image, key, given[key]),
    );
    if (unknown !== undefined) found.push(`its setting \`${unknown}\` is unknown to Godwit`);
    if (switchValue(scalarOf(given['snapshot'])) === true) found.push('its changes are temporary');
  }
  if (image.encrypted && !isLuks(image)) found.push('it is encrypted by something else than LUKS');
  if (textOf(fileOptions.given['transport']) === 'iser') {
    found.push('it is reached by iSER, which Godwit does not speak');
  }
  if (file.driver === 'rbd' && image.driver === 'qcow2') {
    found.push('it is a qcow2 image within an image of RBD, whose header nobody reads elsewhere');
  }
  if (!/^(file|nfs|iscsi|rbd|host_device)$/.test(file.driver)) {
    found.push(`it is reached through \`${file.driver}\``);
  }
  return found;
}

function isLuks({ driver, qcow2 }: LiveNode): boolean {
  return driver === 'luks' || qcow2?.encryption === 'luks';
}

/** Secret that opens it here. The destination has a separate one. */
function isOfLuks(image: LiveNode, key: string, value: unknown): boolean {
  if (!isLuks(image)) return false;
  if (key === 'key-secret') return image.driver === 'luks';
  if (key !== 'encrypt' || !isRecord(value)) return false;
  return Object.keys(value).every((each) => each === 'format' || each === 'key-secret');
}

function isThrottle(key: string): boolean {
  return key === 'throttling' || /^(iops|bps)/.test(key);
}

/**
 * QEMU hands an image over by a flush here and by dropping the page cache there. Another host misses writes that
 * are never flushed, and reads stale pages if the cache is not dropped.
 */
function cacheProblem(image: LiveNode, file: LiveNode, options: NodeOptions): string | undefined {
  if (image.readOnly) return undefined;
  if (image.noFlush || file.noFlush) return 'cache=unsafe never flushes what the guest writes';
  const drops = switchValue(scalarOf(options.given['drop-cache'])) !== false;
  if (file.direct || drops) return undefined;
  return 'drop-cache=off leaves the destination with what its page cache held before';
}

/** Timeout of QEMU's iSCSI client; absent: none. */
function timeoutOf({ file, fileOptions }: ImageNodes): Pick<BlockNode, 'timeout'> {
  if (file.driver !== 'iscsi') return {};
  const held = Number(scalarOf(fileOptions.given['timeout']) ?? 0);
  return Number.isInteger(held) && held > 0 && held <= MAX_TIMEOUT_S ? { timeout: held } : {};
}

/** Undefined if no discard has shown it yet. Only a raw image passes every discard to its file. */
function passesDiscards(
  { image, file }: ImageNodes,
  { unmaps }: ImageObservation,
): boolean | undefined {
  if ((file.discards ?? 0) > 0 || image.detectZeroes === 'unmap') return true;
  return unmaps > 0 && image.driver !== 'qcow2' ? false : undefined;
}

/** True for a drive option; a separate node is a filter. */
export function copiesOnRead({ given, by, nested }: NodeOptions): boolean {
  return by === 'drive' && !nested && switchValue(scalarOf(given['copy-on-read'])) === true;
}

function aioOf(options: NodeOptions): string | undefined {
  return textOf(settingOf(options, 'aio'));
}

function settingOf({ given, drive }: NodeOptions, key: string): unknown {
  return given[key] ?? drive?.[key];
}

/** A child node passes discards on, unless set otherwise. */
function discardOf({ given, drive, nested }: NodeOptions): 'ignore' | 'unmap' {
  const discard = textOf(given['discard'] ?? (nested ? 'unmap' : drive?.['discard']));
  return discard === 'unmap' || discard === 'on' ? 'unmap' : 'ignore';
}

function tuningOf({ given }: NodeOptions): BlockNode['tuning'] {
  const tuning: BlockNode['tuning'] = {};
  for (const key of TUNING_SWITCHES) {
    const held = switchValue(scalarOf(given[key]));
    if (held !== undefined) tuning[key] = held;
  }
  for (const key of TUNING_NUMBERS) {
    const held = scalarOf(given[key]);
    const number = typeof held === 'string' ? parseBytes(held, 1) : held;
    if (typeof number === 'number') tuning[key] = number;
  }
  return tuning;
}

function scalarOf(value: unknown): Scalar | undefined {
  const isScalar = ['string', 'number', 'boolean'].includes(typeof value);
  return isScalar ? (value as Scalar) : undefined;
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** True if the format was given. A guessed format may come from data that a guest wrote into the first sector. */
export function isFormatStated(options: NodeOptions): boolean {
  const { given, by, nested } = options;
  if (by === 'blockdev') return !nested || given['driver'] !== undefined;
  if (by === 'drive') return given['format'] !== undefined || given['driver'] !== undefined;
  // Added over QMP, which requires a driver; a command-line option would have been found.
  return by === 'nobody';
}

export function deviceProps(drive: DriveOptions | undefined): Record<string, string> {
  const props: Record<string, string> = {};
  for (const key of ['werror', 'rerror']) {
    const held = textOf(drive?.[key]);
    if (held !== undefined) props[key] = held;
  }
  return props;
}

/** The backing file is given separately, not by its overlay's header. */
export function isBackingGiven({ given, by }: NodeOptions): boolean {
  return (
    by === 'blockdev' && (isRecord(given['backing']) || textOf(given['backing']) !== undefined)
  );
}
