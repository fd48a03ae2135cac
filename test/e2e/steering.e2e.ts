import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { report, type Report } from '../../src/protocol/public/migration.ts';
import { godwit } from './support/cli.ts';
import { watchGuest, type WatchedGuest } from './support/client-view.ts';
import { askGuestQemu } from './support/monitors.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
/** By far less than the guest writes. */
const CAP = ['--max-bandwidth', '8MiB/s'];
/** So far below what the guest writes that a small sample of its pages is sure of it. */
const THIN = ['--max-bandwidth', '5MiB/s'];
const NAME = 'busy1';

describe('a guest that writes twice what the link takes', () => {
  let world: World;
  let guest: WatchedGuest;
  let at = 'a';

  before(async () => {
    world = await openWorld('steer', { hosts: 2 });
    await startGuest(world.lab, {
      name: NAME,
      host: 'a',
      memoryBytes: 256 * MIB,
      workingSetBytes: 24 * MIB,
      dirtyBytesPerSecond: 32 * MIB,
    });
    guest = await watchGuest(world, NAME);
  });
  after(() => world?.close());

  /** By the command line; `arrives`: whether it comes to the other host. */
  async function steered(arrives: boolean, ...words: string[]): Promise<Report> {
    const to = at === 'a' ? 'b' : 'a';
    let made: Report | undefined;
    await guest.unharmed(arrives ? to : at, async () => {
      const moved = await godwit(world, 'migrate', NAME, '--to', to, ...words, '--json');
      assert.equal(moved.exit, arrives ? 0 : 5, moved.err);
      made = report.parse(JSON.parse(moved.out));
    });
    assert.ok(made !== undefined);
    if (arrives) at = to;
    await assertOnlyGuests(world, { [at]: [NAME] });
    return made;
  }

  test('a guest is given up early under gentle, with the figures and two alternatives', async (t) => {
    const made = await steered(false, ...CAP, '--steering', 'gentle');
    const { error, decisions, roundList, rounds = 0 } = made;
    t.diagnostic(`${rounds} rounds, ${made.totalMs} ms: ${error?.message} ${error?.hint}`);
    assert.equal(error?.code, 'GODWIT_GIVEN_UP');
    assert.match(
      error.message,
      /strategy gentle.*dirties [\d.]+ [KM]iB\/s.*link takes [\d.]+ [KM]iB\/s/,
    );
    assert.match(error.hint, /^Use .* or .*\.$/);
    assert.ok(made.totalMs < 120_000);
    const [only, ...more] = decisions.filter(({ rule }) => rule !== undefined);
    assert.equal(more.length, 0, 'nothing else was done to it');
    assert.equal(only?.rule, 'exhausted');
    assert.ok((only.inputs?.stalledRounds ?? 9) <= 4 && roundList.length > 0);
    const capabilities = await askGuestQemu(world, NAME, at, 'query-migrate-capabilities');
    assert.ok(!JSON.stringify(capabilities).includes('"auto-converge","state":true'));
  });

  test('a guest under standard gets a longer downtime that is nearly enough, and then moves by post-copy', async (t) => {
    // What it keeps writing takes about 5 s, and a slow machine's guest writes faster than that, too.
    const limits = ['--max-bandwidth', '5MiB/s', '--max-downtime', '2500ms'];
    const made = await steered(true, ...limits, '--steering', 'standard');
    t.diagnostic(JSON.stringify(made.decisions));
    const steps = made.decisions.filter(({ rule }) => rule !== undefined);
    assert.match(steps[0]?.what ?? '', /^downtime: 625 ms to \d+ ms/);
    for (const { change } of steps) if (change !== undefined) assert.ok(change.to <= 2500);
    assert.match(steps.at(-1)?.what ?? '', /^post-copy: round \d+/);
    assert.equal(made.finished, 'postcopy');
  });

  test('a guest under standard moves by post-copy at once if no allowed downtime is enough', async (t) => {
    const made = await steered(true, ...THIN, '--steering', 'standard', '--max-downtime', '400ms');
    t.diagnostic(JSON.stringify(made.decisions));
    const [only, ...more] = made.decisions.filter(({ rule }) => rule !== undefined);
    assert.match(only?.what ?? '', /^post-copy: round 2/);
    assert.deepEqual([made.finished, more], ['postcopy', []]);
  });

  test('a guest under must-finish arrives by post-copy after its first round, and the report draws it', async () => {
    const made = await steered(
      true,
      ...THIN,
      '--steering',
      'must-finish',
      '--max-downtime',
      '100ms',
    );
    assert.equal(made.finished, 'postcopy');
    const [first] = made.decisions.filter(({ rule }) => rule !== undefined);
    // It was looked at while that round ran, in which each page counts once, however often it is written.
    const { round, rate = 0, writeRate = 0 } = first?.inputs ?? {};
    assert.deepEqual([first?.rule, round], ['outpaced', 2], JSON.stringify(first));
    assert.ok(rate > 0 && writeRate >= rate, JSON.stringify(first));
    const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-steering-'));
    try {
      const file = path.join(directory, 'report.html');
      const shown = await godwit(world, 'report', made.id, '--html', file);
      assert.equal(shown.exit, 0, shown.err);
      assert.match(await readFile(file, 'utf8'), /class="decision"/);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('a guest is slowed down by a strategy from a file until pre-copy ends, and then has its speed back', async (t) => {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-steering-'));
    try {
      const file = path.join(directory, 'slow.json');
      const slow = { name: 'slow', measures: ['throttle'], throttlePercents: [60, 99] };
      await writeFile(file, JSON.stringify(slow));
      const made = await steered(true, ...CAP, '--steering-file', file, '--max-downtime', '500ms');
      const throttles = made.roundList.map(({ throttlePercent = 0 }) => throttlePercent);
      t.diagnostic(`${throttles.join(' ')}; ${JSON.stringify(made.decisions)}`);
      assert.equal(made.finished, 'precopy');
      assert.ok(made.decisions.some(({ change }) => change?.of === 'throttlePercent'));
      assert.ok(Math.max(...throttles) >= 60, throttles.join(' '));
    } finally {
      await rm(directory, { recursive: true });
    }
    const parameters = await askGuestQemu(world, NAME, at, 'query-migrate-parameters');
    assert.equal((parameters as Record<string, number>)['max-cpu-throttle'], 99);
  });
});
