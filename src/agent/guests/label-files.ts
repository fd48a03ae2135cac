import { existsSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../errors.ts';
import { labels, type GuestLabels } from '../../protocol/labels.ts';
import { guestName, migrationId } from '../../protocol/names.ts';
import { syncDirectory } from '../../system/journal-file.ts';
import { SyncedLines } from '../../system/files/synced-lines.ts';
import { writeWhole, writeWholeInPieces } from '../../system/files/whole-file.ts';

export const MAX_LABELLED = 10_000;
/** A longer log causes an immediate rewrite of the file, bytes. */
const MAX_LOG_BYTES = 16 * 1024 * 1024;
const AT_ONCE = 32;
const FILE = 'guest-labels.json';
const LOG = 'guest-labels.log';

const kept = z.array(z.tuple([guestName, labels])).max(MAX_LABELLED);
const expected = z.array(z.tuple([migrationId, guestName, labels]));
/** Earlier builds wrote only the labels of guests that are here. */
const written = z.union([
  kept.transform((all) => ({ kept: all, expected: [] })),
  z.strictObject({ kept, expected }),
]);
export type ExpectedLabels = z.output<typeof expected>[number];

/** One line of the log. Replaying lines in order twice gives the same labels. */
const change = z.strictObject({
  ended: z.array(migrationId),
  kept: z.array(z.tuple([guestName, labels])),
  expected,
});
type Change = z.output<typeof change>;

export interface KeptLabels {
  readonly kept: ReadonlyMap<string, GuestLabels>;
  readonly expected: readonly ExpectedLabels[];
}

/**
 * Each change is appended to a log, because the file may have 16 MiB; the file is rewritten in small pieces. An earlier
 * build reads only the file, so `close` leaves no log.
 */
export class LabelFiles {
  readonly #file: string;
  readonly #logFile: string;
  readonly #log: SyncedLines;
  #logBytes = 0;
  #writing: Promise<void> | undefined;

  constructor(stateDir: string) {
    this.#file = path.join(stateDir, FILE);
    this.#logFile = path.join(stateDir, LOG);
    this.#log = new SyncedLines(this.#logFile);
  }

  /** GODWIT_CONFIG if a file is damaged: a lost `never-move` label must not go unnoticed. */
  read(): KeptLabels {
    const all = existsSync(this.#file)
      ? readWhole(this.#file)
      : { kept: new Map<string, GuestLabels>(), expected: [] };
    const lines = this.#log.read().filter((line) => line !== '');
    if (lines.length === 0) return all;
    const kept = new Map(all.kept);
    let open = all.expected;
    for (const [at, line] of lines.entries()) {
      const read = readLine(line);
      if (read === undefined && at === lines.length - 1) break;
      if (read === undefined) throw damaged(this.#logFile);
      for (const [guest, each] of read.kept) setLabels(kept, guest, each);
      open = expectedAfter(open, read);
    }
    const now = { kept, expected: open };
    this.#writeAtOnce(now);
    return now;
  }

  write(before: KeptLabels, now: KeptLabels): void {
    const isEmpty = now.kept.size === 0 && now.expected.length === 0;
    const isLong = this.#logBytes > MAX_LOG_BYTES;
    // A running rewrite lacks this change; until it ends, changes go to the log.
    if ((isEmpty || isLong) && this.#writing === undefined) this.#writeAtOnce(now);
    else this.#append(JSON.stringify(changeOf(before, now)));
  }

  fold(now: KeptLabels): Promise<void> {
    if (this.#logBytes > 0) this.#writing ??= this.#fold(now);
    return this.#writing ?? Promise.resolve();
  }

  async #fold(now: KeptLabels): Promise<void> {
    const bytes = this.#logBytes;
    try {
      await writeWholeInPieces(this.#file, textOf(now));
      if (this.#logBytes === bytes) this.#removeLog();
    } finally {
      this.#writing = undefined;
    }
  }

  /** The file has all labels when this returns. No `fold` may be running. */
  close(now: KeptLabels): void {
    if (this.#logBytes > 0) this.#writeAtOnce(now);
  }

  #append(line: string): void {
    try {
      this.#log.append([line]);
    } catch (thrown) {
      // A partial line must neither count nor damage the next one.
      if (existsSync(this.#logFile)) truncateSync(this.#logFile, this.#logBytes);
      throw thrown;
    }
    this.#logBytes = statSync(this.#logFile).size;
  }

  #writeAtOnce(now: KeptLabels): void {
    if (now.kept.size === 0 && now.expected.length === 0) {
      rmSync(this.#file, { force: true });
      syncDirectory(path.dirname(this.#file));
    } else writeWhole(this.#file, [...textOf(now)].join(''));
    this.#removeLog();
  }

  #removeLog(): void {
    rmSync(this.#logFile, { force: true });
    this.#logBytes = 0;
  }
}

function* textOf({ kept: all, expected: open }: KeptLabels): Generator<string> {
  const entries = [...all];
  yield '{"kept":[';
  for (let at = 0; at < entries.length; at += AT_ONCE) {
    const some = entries.slice(at, at + AT_ONCE).map((each) => JSON.stringify(each));
    yield `${at === 0 ? '' : ','}${some.join(',')}`;
  }
  yield `],"expected":${JSON.stringify(open)}}\n`;
}

/** Labels are never changed in place, so object identity shows a change. */
function changeOf(before: KeptLabels, now: KeptLabels): Change {
  const gone = [...before.kept.keys()].filter((guest) => !now.kept.has(guest));
  const others = [...now.kept].filter(([guest, each]) => before.kept.get(guest) !== each);
  const [were, are] = [new Set(before.expected), new Set(now.expected)];
  return {
    ended: before.expected.filter((each) => !are.has(each)).map(([migration]) => migration),
    kept: [...gone.map((guest): [string, GuestLabels] => [guest, {}]), ...others],
    expected: now.expected.filter((each) => !were.has(each)),
  };
}

function expectedAfter(
  before: readonly ExpectedLabels[],
  { ended, expected: more }: Change,
): ExpectedLabels[] {
  const outdated = new Set([...ended, ...more.map(([migration]) => migration)]);
  return [...before.filter(([migration]) => !outdated.has(migration)), ...more];
}

export function withLabels(
  before: ReadonlyMap<string, GuestLabels>,
  guest: string,
  all: GuestLabels,
): Map<string, GuestLabels> {
  const now = new Map(before);
  setLabels(now, guest, all);
  return now;
}

function setLabels(kept: Map<string, GuestLabels>, guest: string, all: GuestLabels): void {
  kept.delete(guest);
  if (Object.keys(all).length > 0) kept.set(guest, all);
}

function readWhole(file: string): KeptLabels {
  try {
    const all = written.parse(JSON.parse(readFileSync(file, 'utf8')));
    return { kept: new Map(all.kept), expected: all.expected };
  } catch (cause) {
    throw damaged(file, cause);
  }
}

function readLine(line: string): Change | undefined {
  try {
    return change.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

function damaged(file: string, cause?: unknown): Error {
  const hint = 'Repair it, or remove it and label the guests again.';
  return godwitError('GODWIT_CONFIG', { file, what: 'holds no labels of guests' }, { cause, hint });
}
