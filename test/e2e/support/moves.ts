/** Migrations as a user of the API asks for them. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { godwitError, GodwitError, hasCode, type SerialError } from '../../../src/errors.ts';
import { runningOn } from '../../../lab/witness/qemus.ts';
import {
  isEnd,
  type MigrationRequest,
  type Progress,
  type Report,
} from '../../../src/protocol/public/migration.ts';
import type { World } from './world.ts';

export interface Move extends Partial<MigrationRequest> {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
}

const MIB = 1024 ** 2;
/** A rate at which a small guest's memory takes many seconds: time to look at a migration under way. */
export const SLOW = { maxBandwidth: 4 * MIB, maxDowntimeMs: 10 } as const;
const MOVE_DEADLINE_MS = 120_000;

/** Where a guest runs, of a lab's first two hosts, and the other one. */
export async function directionOf(
  { lab }: World,
  guest: string,
): Promise<{ from: string; to: string }> {
  const [from = ''] = await runningOn(lab, guest);
  return { from, to: from === 'a' ? 'b' : 'a' };
}

/** Starts a move and returns its id. */
export async function begin(world: World, { from, ...request }: Move): Promise<string> {
  const { id } = await world.agent(from).migrate({ body: request }, { deadlineMs: 30_000 });
  return id;
}

/** Follows a migration until a line of its live view is wanted; rejects when it ends before. */
export async function follow(
  world: World,
  host: string,
  id: string,
  wanted: (line: Progress) => boolean,
  deadlineMs = MOVE_DEADLINE_MS,
): Promise<Progress> {
  const signal = AbortSignal.timeout(deadlineMs);
  for await (const line of world.agent(host).events({ params: { id } }, { signal })) {
    if (wanted(line)) return line;
    if (isEnd(line.phase)) {
      throw line.error === undefined
        ? new Error(`${id} is ${line.phase} already`)
        : new GodwitError(line.error);
    }
  }
  throw new Error(`the live view of ${id} ended early`);
}

/** Waits until memory flows: the first look at the stream. */
export async function untilMemoryFlows(world: World, host: string, id: string): Promise<Progress> {
  return follow(world, host, id, ({ phase, sample }) => {
    return phase === 'memory' && sample !== undefined && sample.transferredBytes > 0;
  });
}

/** Waits for the end, whichever it is, and returns the report of a host. */
export async function reportAtEnd(
  world: World,
  host: string,
  id: string,
  deadlineMs = MOVE_DEADLINE_MS,
): Promise<Report> {
  await follow(world, host, id, ({ phase }) => isEnd(phase), deadlineMs);
  return world.agent(host).report({ params: { id } });
}

/** Moves a guest to the end; rejects with the error where it does not arrive. */
export async function move(
  world: World,
  request: Move,
  deadlineMs = MOVE_DEADLINE_MS,
): Promise<Report> {
  const id = await begin(world, request);
  const report = await reportAtEnd(world, request.from, id, deadlineMs);
  if (report.outcome !== 'done') throw new GodwitError(report.error ?? nothingSaid(id));
  return report;
}

/** The error with which a move is refused: at once, or by a check of one of the two hosts before anything starts. */
export async function refusalOf(world: World, request: Move): Promise<GodwitError> {
  let id: string;
  try {
    id = await begin(world, request);
  } catch (thrown) {
    if (thrown instanceof GodwitError) return thrown;
    throw thrown;
  }
  const report = await reportAtEnd(world, request.from, id);
  assert.equal(report.outcome, 'failed', `${request.guest} was not refused`);
  assert.equal(report.runsAt, 'source');
  return new GodwitError(report.error ?? nothingSaid(id));
}

/** What a check says that the move would be refused with; undefined where nothing refuses. */
export async function checkedRefusal(
  world: World,
  { from, ...body }: Move,
): Promise<SerialError | undefined> {
  const { hosts } = await world.agent(from).check({ body }, { deadlineMs: 60_000 });
  return hosts[0]?.checks.find(({ verdict }) => verdict === 'refuse')?.error;
}

function nothingSaid(id: string): SerialError {
  return godwitError('GODWIT_INTERNAL', { what: `${id} failed and does not say why` }).toJSON();
}

/** A refusal in full: its code, its message with every one of the words, and a hint. */
export function assertSays(
  error: SerialError,
  code: SerialError['code'],
  ...words: readonly string[]
): void {
  assert.equal(error.code, code, `${error.message} (${error.hint})`);
  for (const word of words) {
    const text = `${error.message}\n${error.hint}`;
    assert.ok(text.includes(word), `"${word}" is not in: ${text}`);
  }
  assert.ok(error.hint.length > 10, `no hint: ${error.hint}`);
}

/** Where the system does not let QEMU handle page faults, post-copy is refused and the test skipped with the reason. */
export async function unlessForbidden<T>(
  t: TestContext,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!hasCode(error, 'GODWIT_CAPABILITY') || !/userfault/i.test(error.message)) throw error;
    t.skip(error.message);
    return undefined;
  }
}
