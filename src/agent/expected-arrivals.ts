import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import type { AgentConfig } from '../config.ts';
import { godwitError } from '../errors.ts';
import { writeWhole } from '../system/files/whole-file.ts';
import { guestName, hostName, migrationId } from '../protocol/names.ts';
import { MAX_EXPECTED_MS, type ExpectedGuest } from '../protocol/peer/arrival.ts';
import type { Occupancy } from '../protocol/public/closing.ts';

const FILE = 'expected.json';
const MAX_OF_ONE = 64;
const MAX_ALL = 1024;

const expectedGuest = z.object({
  id: migrationId,
  guest: guestName,
  from: hostName,
  untilMs: z.number().int(),
});
type ExpectedArrival = z.infer<typeof expectedGuest>;
const expectedFile = z.object({
  version: z.literal(1),
  expected: z.array(expectedGuest).max(MAX_ALL),
});

export interface ClosedHosts {
  requestFor(host: string): string | undefined;
}

/** Guests that their manager is about to move to this host. The manager lists them only after the move has begun. */
export class ExpectedArrivals {
  readonly #file: string;
  readonly #host: string;
  readonly #clock: Pick<Clock, 'wallMs'>;
  readonly #closings: ClosedHosts;
  #expected: readonly ExpectedArrival[];
  readonly #unknownUntilMs: number;

  constructor(
    { stateDir, name }: Pick<AgentConfig, 'stateDir' | 'name'>,
    clock: Pick<Clock, 'wallMs'>,
    closings: ClosedHosts,
  ) {
    this.#file = path.join(stateDir, FILE);
    this.#host = name;
    this.#clock = clock;
    this.#closings = closings;
    const found = readExpected(this.#file);
    this.#expected = found ?? [];
    this.#unknownUntilMs = found === undefined ? clock.wallMs() + MAX_EXPECTED_MS : 0;
  }

  /**
   * Records the arrival durably and returns its expiry, ms since 1970. A repeated call extends it. GODWIT_HOST_CLOSED
   * while a request empties this host; nothing is awaited between that check and the record.
   */
  expect(id: string, { guest, from, forMs }: ExpectedGuest): number {
    const request = this.#closings.requestFor(this.#host);
    if (request !== undefined)
      throw godwitError('GODWIT_HOST_CLOSED', { host: this.#host, request });
    const others = this.#now().filter((each) => each.id !== id || each.from !== from);
    const ofHost = others.filter((each) => each.from === from);
    const what = `${this.#host}, in guests that ${from} announces,`;
    if (ofHost.length >= MAX_OF_ONE || others.length >= MAX_ALL) {
      throw godwitError('GODWIT_OVERLOADED', { what, limit: MAX_OF_ONE });
    }
    const untilMs = this.#clock.wallMs() + Math.min(forMs, MAX_EXPECTED_MS);
    this.#write([...others, { id, guest, from, untilMs }]);
    return untilMs;
  }

  drop(id: string, from: string): void {
    const left = this.#expected.filter((each) => each.id !== id || each.from !== from);
    if (left.length < this.#expected.length) this.#write(left);
  }

  /** Rejects while the expected guests are unknown: an unreadable record is not an empty one. */
  underWay(): Occupancy['underWay'] {
    const leftMs = this.#unknownUntilMs - this.#clock.wallMs();
    if (leftMs > 0 && leftMs <= MAX_EXPECTED_MS) {
      const what = `${this.#file} was damaged: guests that are expected here are not known`;
      throw godwitError('GODWIT_INTERNAL', { what });
    }
    return this.#now().map(({ id, guest, from }) => {
      return { guest, migration: id, from, to: this.#host };
    });
  }

  #now(): readonly ExpectedArrival[] {
    const nowMs = this.#clock.wallMs();
    return this.#expected.filter(({ untilMs }) => {
      return untilMs > nowMs && untilMs - nowMs <= MAX_EXPECTED_MS;
    });
  }

  #write(expected: readonly ExpectedArrival[]): void {
    writeWhole(this.#file, `${JSON.stringify({ version: 1, expected })}\n`);
    this.#expected = expected;
  }
}

function readExpected(file: string): readonly ExpectedArrival[] | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (thrown) {
    const isMissing = (thrown as NodeJS.ErrnoException).code === 'ENOENT';
    return isMissing ? [] : undefined;
  }
  try {
    return expectedFile.parse(JSON.parse(text)).expected;
  } catch {
    return undefined;
  }
}
