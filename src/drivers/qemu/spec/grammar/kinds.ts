import { switchValue, type Scalar } from '../options.ts';

export interface Kind {
  readonly allowed: string;
  readonly fits: (value: Scalar) => boolean;
  readonly names?: keyof DeclaredIds;
}

export interface DeclaredIds {
  readonly netdev: ReadonlySet<string>;
  readonly chardev: ReadonlySet<string>;
  readonly drive: ReadonlySet<string>;
  readonly memdev: ReadonlySet<string>;
  readonly iothread: ReadonlySet<string>;
  readonly rng: ReadonlySet<string>;
  readonly audiodev: ReadonlySet<string>;
  readonly device: ReadonlySet<string>;
  readonly tpmdev: ReadonlySet<string>;
}

export const ID = /^[A-Za-z][A-Za-z0-9._-]{0,127}$/;
/** Ids of objects that Godwit creates in the same process, or QEMU creates for Godwit's monitor. */
const OWN_ID = /^(godwit|compat_monitor)/i;

export function isFreeId(id: string): boolean {
  return ID.test(id) && !OWN_ID.test(id);
}

/** Exceeds any serial number or label that QEMU shows a guest. */
const MAX_TEXT = 1024;

export const KINDS = {
  switch: kind('on or off', (value) => switchValue(value) !== undefined),
  auto: kind('on, off or auto', (value) => value === 'auto' || switchValue(value) !== undefined),
  u8: number(8),
  u16: number(16),
  u32: number(32),
  u64: number(64),
  i32: { ...number(32), allowed: 'a whole number of 32 bits' },
  /** QEMU has a switch here in one version and a number in another. */
  count: kind(
    'a number, or on or off',
    (value) => switchValue(value) !== undefined || isWhole(value, 32),
  ),
  size: kind('a size in bytes', (value) =>
    typeof value === 'string' && /[a-z]$/i.test(value)
      ? /^\d{1,15}(\.\d{1,6})?[bkmgtpe]$/i.test(value)
      : isWhole(value, 64),
  ),
  text: kind(
    `text without control characters, at most ${MAX_TEXT} characters`,
    (value) =>
      /^\P{Cc}*$/u.test(String(value).slice(0, MAX_TEXT + 1)) && String(value).length <= MAX_TEXT,
  ),
  nothing: kind('nothing: a ROM is known by its content', (value) => value === ''),
  mac: pattern('a MAC address', /^([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}$/i),
  address: kind(
    'an address on its bus',
    (value) => isWhole(value, 64) || /^(0x)?[0-9a-f]{1,2}(\.(0x)?[0-7])?$/i.test(String(value)),
  ),
  port: pattern('a port', /^(0x[0-9a-f]{1,2}|\d{1,3}(\.\d{1,3}){0,6})$/i),
  bus: pattern('a bus of the machine', /^[A-Za-z0-9_][A-Za-z0-9._#-]{0,127}$/),
  uuid: pattern('a UUID, or auto', /^(auto|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i),
  device: kind('the id of a device', (value) => ID.test(String(value))),
  netdev: reference('netdev', 'a network backend'),
  chardev: reference('chardev', 'a character device'),
  drive: reference('drive', 'a disk'),
  memdev: reference('memdev', 'a memory backend'),
  iothread: reference('iothread', 'an iothread'),
  rng: reference('rng', 'a source of random bytes'),
  audiodev: reference('audiodev', 'an audio backend'),
  tpmdev: reference('tpmdev', 'a TPM'),
  cpus: pattern('numbers or ranges of numbers', /^\d{1,4}(-\d{1,4})?$/),
  duplex: choice('half full'),
  tx: choice('timer bh'),
  onError: choice('report ignore enospc stop auto'),
  ticks: choice('discard delay merge slew'),
  translation: choice('auto none lba large rechs'),
  floppy: choice('144 288 120 none auto'),
  granule: choice('4k 8k 16k 64k host'),
  speed: choice('2_5 5 8 16 32 64'),
  width: choice('1 2 4 8 12 16 32'),
  i8042: choice('i8042'),
} as const satisfies Record<string, Kind>;

export type KindName = keyof typeof KINDS;

export function isKind(name: string | undefined): name is KindName {
  return name !== undefined && Object.hasOwn(KINDS, name);
}

export function choice(words: string): Kind {
  const all = new Set(words.split(' '));
  return kind([...all].join(', '), (value) => all.has(String(value)));
}

export function pattern(allowed: string, shape: RegExp): Kind {
  return kind(allowed, (value) => shape.test(String(value)));
}

/** Allowed form if a value does not fit, otherwise undefined. Without `known`, ids are not looked up. */
export function misfit(of: Kind, value: Scalar, known?: DeclaredIds): string | undefined {
  if (!of.fits(value)) return of.allowed;
  if (of.names === undefined || known === undefined) return undefined;
  return known[of.names].has(String(value)) ? undefined : `${of.allowed} of this description`;
}

function kind(allowed: string, fits: Kind['fits']): Kind {
  return { allowed, fits };
}

function reference(names: keyof DeclaredIds, what: string): Kind {
  return { allowed: `the id of ${what}`, fits: (value) => isFreeId(String(value)), names };
}

/** -1 means "none" or "all bits" in many of QEMU's unsigned properties. */
function number(bits: 8 | 16 | 32 | 64): Kind {
  return kind(`a whole number of ${bits} bits`, (value) => isWhole(value, bits));
}

function isWhole(value: Scalar, bits: number): boolean {
  if (typeof value === 'boolean') return false;
  if (typeof value === 'number' && !Number.isInteger(value)) return false;
  const text = String(value);
  if (typeof value === 'string' && !/^(-?\d{1,20}|0x[0-9a-f]{1,16})$/i.test(text)) return false;
  const whole = BigInt(value);
  return whole >= -(2n ** BigInt(Math.min(bits, 32) - 1)) && whole < 2n ** BigInt(bits);
}
