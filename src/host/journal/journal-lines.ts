import { crc32 } from 'node:zlib';
import type { z } from 'zod';
import { godwitError } from '../../errors.ts';
import { whatIsWrong } from '../../protocol/errors.ts';

/**
 * Lines of a journal. Each is one JSON record with its number and a checksum:
 * `{"v":1,"seq":3,"at":…,"mono":…,"event":{…},"sum":"89abcdef"}`. The checksum is the CRC-32 of all lines so far, up to
 * itself, so it also covers earlier lines. Earlier builds write no checksum; their lines end with `}}` and are still
 * read, and those builds ignore `sum`.
 */

export interface JournalRecord {
  readonly seq: number;
  readonly event: { readonly type: string };
}

export interface JournalKind<T extends JournalRecord> {
  readonly schema: z.ZodType<T>;
  readonly first: T['event']['type'];
}

/** The reason why a journal cannot be trusted from a line on. */
export interface Damage {
  readonly line: number;
  readonly saw: string;
  /** The line is intact, but has content that this build does not support. */
  readonly isNewer: boolean;
}

/** `,"sum":"89abcdef"}` */
const SUM_BYTES = 18;
const SUM = /^,"sum":"([0-9a-f]{8})"\}$/;
/** A complete line followed by more. Quotes within a record are escaped. */
const SUM_INSIDE = /,"sum":"[0-9a-f]{8}"\}[^]/;
const NEWLINE = 10;
const SHOWN = 60;

/** A record's line with its newline; `sum`: of the line before, 0 for the first. */
export function encodeLine(record: JournalRecord, sum: number): { line: Buffer; sum: number } {
  const body = Buffer.from(JSON.stringify(record).slice(0, -1));
  const own = crc32(body, sum);
  return { line: Buffer.concat([body, Buffer.from(`,"sum":"${hex(own)}"}\n`)]), sum: own };
}

export class LineReader<T extends JournalRecord> {
  readonly #kind: JournalKind<T>;
  bytes = 0;
  count = 0;
  sum = 0;
  damage: Damage | undefined;

  constructor(kind: JournalKind<T>) {
    this.#kind = kind;
  }

  /**
   * The records in `bytes`, which continue after the last whole line. Stops at the first damaged line and reports it in
   * `damage`. A last line without newline is torn, not damaged.
   */
  take(bytes: Buffer): T[] {
    const records: T[] = [];
    let at = 0;
    for (; this.damage === undefined;) {
      const newline = bytes.indexOf(NEWLINE, at);
      if (newline < 0) {
        this.#judgeEnd(bytes.subarray(at));
        return records;
      }
      const record = this.#line(bytes.subarray(at, newline));
      if (record === undefined) return records;
      records.push(record);
      this.bytes += newline + 1 - at;
      at = newline + 1;
    }
    return records;
  }

  #line(line: Buffer): T | undefined {
    const given = SUM.exec(line.toString('latin1', Math.max(0, line.length - SUM_BYTES)))?.[1];
    const parsed = parseObject(line);
    if (parsed === undefined || (given === undefined && !line.subarray(-2).equals(OLD_END))) {
      return this.#damaged(`it is no record: ${shown(line)}`);
    }
    const { seq } = parsed as { seq?: unknown };
    if (seq !== this.count) {
      const saw = typeof seq === 'number' ? String(seq) : shown(line);
      const why = 'a line is missing, there twice or in another place';
      return this.#damaged(`its number is ${saw} and should be ${this.count}: ${why}`);
    }
    const sum = crc32(given === undefined ? line : line.subarray(0, -SUM_BYTES), this.sum);
    if (given !== undefined && given !== hex(sum)) {
      return this.#damaged(`its checksum is ${given} and should be ${hex(sum)}`);
    }
    return this.#record(parsed, sum);
  }

  #record(parsed: object, sum: number): T | undefined {
    const { data, error } = this.#kind.schema.safeParse(parsed);
    if (data === undefined) {
      const { event } = parsed as { event?: { type?: unknown } };
      const type = typeof event?.type === 'string' ? event.type.slice(0, SHOWN) : 'unnamed';
      const why = error === undefined ? '' : `: ${whatIsWrong(error)}`;
      return this.#damaged(`it holds an event "${type}" that this build does not know${why}`, true);
    }
    if (this.count === 0 && data.event.type !== this.#kind.first) {
      return this.#damaged(
        `it begins with "${data.event.type}" and not with "${this.#kind.first}"`,
      );
    }
    this.sum = sum;
    this.count += 1;
    return data;
  }

  /** A crash leaves a partial line or none; a complete line without its newline means a damaged byte. */
  #judgeEnd(end: Buffer): void {
    if (SUM_INSIDE.test(end.toString('latin1'))) {
      this.#damaged(`it is whole and another byte stands for its newline`);
    }
  }

  #damaged(saw: string, isNewer = false): undefined {
    this.damage = { line: this.count + 1, saw: saw.slice(0, 1000), isNewer };
  }
}

const OLD_END = Buffer.from('}}');

export function mustBeWhole(file: string, damage: Damage | undefined): void {
  if (damage === undefined) return;
  const { line, saw, isNewer } = damage;
  const newer = 'A newer build wrote it: start that build again; nothing was changed meanwhile.';
  throw godwitError('GODWIT_JOURNAL_DAMAGED', { file, line, saw }, isNewer ? { hint: newer } : {});
}

function parseObject(line: Buffer): object | undefined {
  try {
    const parsed: unknown = JSON.parse(line.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function hex(sum: number): string {
  return sum.toString(16).padStart(8, '0');
}

function shown(line: Buffer): string {
  const text = line.toString('latin1', 0, SHOWN).replaceAll(/[^\x20-\x7e]/g, '.');
  return line.length > SHOWN ? `${text}…` : text;
}
