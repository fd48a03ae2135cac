import { godwitError, type GodwitError } from '../errors.ts';

export { formatBytes, formatDuration, formatMoment, formatRate } from '../formats/quantity.ts';

/**
 * Quantities as people type them. K, M, G or T after a size are powers of 1024 (as in QEMU's `-m 512M`); `KB` and `KiB`
 * are explicit; rates in bits (`1gbit`) are decimal, as link speeds are.
 */
const SIZE_UNITS = new Map<string, number>([
  ['', 1],
  ['b', 1],
  ...['k', 'm', 'g', 't'].flatMap((letter, power): [string, number][] => [
    [letter, 1024 ** (power + 1)],
    [`${letter}ib`, 1024 ** (power + 1)],
    [`${letter}b`, 1000 ** (power + 1)],
  ]),
]);

const BIT_UNITS = new Map<string, number>([
  ['bit', 1],
  ['kbit', 1e3],
  ['mbit', 1e6],
  ['gbit', 1e9],
  ['tbit', 1e12],
]);

const DURATION_UNITS = new Map<string, number>([
  ['us', 0.001],
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

const NUMBER_AND_UNIT = /^(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]*)(\/s|ps)?$/i;
const MAX_TEXT = 40;

/** `512M`, `1GiB`, `4096` -> bytes, a whole number. Throws GODWIT_USAGE with the accepted forms. */
export function parseBytes(text: string): number {
  const refuse = refusal('a size', text, '512M, 1GiB, 1500MB or a number of bytes');
  const parts = split(text);
  const unit = parts === undefined || parts.perSecond ? undefined : SIZE_UNITS.get(parts.unit);
  if (parts === undefined || unit === undefined) throw refuse();
  return whole(parts.amount * unit, refuse);
}

/** `1gbit`, `100mbit/s`, `20MiB/s`, `20MB/s` -> bytes/s. A size without `/s` is per second. */
export function parseRate(text: string): number {
  const refuse = refusal('a rate', text, '1gbit, 100mbit, 20MiB/s or 20MB/s');
  const parts = split(text);
  if (parts === undefined) throw refuse();
  const bits = BIT_UNITS.get(parts.unit);
  if (bits !== undefined) return whole((parts.amount * bits) / 8, refuse);
  const unit = SIZE_UNITS.get(parts.unit);
  if (unit === undefined) throw refuse();
  return whole(parts.amount * unit, refuse);
}

/** `20ms`, `1.5s`, `10m`, `2h` -> ms. A bare number is refused, except 0. */
export function parseDuration(text: string): number {
  const refuse = refusal('a duration', text, '20ms, 1.5s, 10m or 2h');
  const parts = split(text);
  if (parts === undefined || parts.perSecond) throw refuse();
  if (parts.unit === '' && parts.amount === 0) return 0;
  const unit = DURATION_UNITS.get(parts.unit);
  if (unit === undefined) throw refuse();
  const ms = parts.amount * unit;
  if (ms > Number.MAX_SAFE_INTEGER) throw refuse();
  return ms;
}

function split(text: string): { amount: number; unit: string; perSecond: boolean } | undefined {
  if (text.length > MAX_TEXT) return undefined;
  const match = NUMBER_AND_UNIT.exec(text.trim());
  if (match === null) return undefined;
  // The lazy group includes the `ps` of `20MBps`.
  const raw = (match[2] ?? '').toLowerCase();
  const perSecond = match[3] !== undefined || /(bit|b)ps$/.test(raw);
  return { amount: Number(match[1]), unit: raw.replace(/(?<=bit|b)ps$/, ''), perSecond };
}

function refusal(kind: string, text: string, accepted: string): () => GodwitError {
  const shown = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text;
  return () =>
    godwitError(
      'GODWIT_USAGE',
      { what: `"${shown}" is not ${kind}` },
      { hint: `Write it like ${accepted}.` },
    );
}

function whole(value: number, refuse: () => GodwitError): number {
  if (!Number.isFinite(value) || value > Number.MAX_SAFE_INTEGER) throw refuse();
  return Math.round(value);
}
