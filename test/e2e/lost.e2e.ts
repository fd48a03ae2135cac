import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { signalProcess } from '../../lab/processes.ts';
import { labHost } from '../../lab/state.ts';
import { runningOn, seenQemus } from '../../lab/witness/qemus.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { startBareGuest } from './support/bare-guest.ts';
import {
  assertSays,
  begin,
  follow,
  refusalOf,
  reportAtEnd,
  unlessForbidden,
} from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
/** A destination whose guest has ended forgets it after this at most, ms. */
const FORGOTTEN_MS = 60_000;

describe('a guest whose destination dies for good in post-copy', () => {
  let world: World;

  before(async () => {
    world = await openWorld('lost', { hosts: 2 });
  });
  after(() => world?.close());

  async function boot(name: string): Promise<void> {
    const size = { memoryBytes: 192 * MIB, workingSetBytes: 32 * MIB };
    await startGuest(world.lab, { name, host: 'a', ...size });
  }

  /** Moves it by post-copy, and kills the destination’s QEMU while memory still follows. */
  async function lose(guest: string, onLost: 'hold' | 'restart'): Promise<Report> {
    const request = { guest, from: 'a', to: 'b', mode: 'postcopy', onLost } as const;
    const id = await begin(world, { ...request, maxBandwidth: 2 * MIB });
    await follow(world, 'a', id, ({ phase }) => phase === 'draining');
    const qemu = (await seenQemus(world.lab)).find(({ host }) => host === 'b');
    assert.ok(qemu !== undefined);
    signalProcess(qemu.pid, 'SIGKILL');
    return reportAtEnd(world, 'a', id);
  }

  test('a guest is started again at its source if that was requested, and the report shows it', async (t) => {
    await boot('web1');
    const report = await unlessForbidden(t, () => lose('web1', 'restart'));
    if (report === undefined) return;
    assert.equal(report.outcome, 'lost', JSON.stringify(report.error));
    assert.ok(report.restartedAt !== undefined);
    assert.equal(report.runsAt, 'source');
    assert.equal(report.error?.code, 'GODWIT_LOST');
    assert.deepEqual(await runningOn(world.lab, 'web1'), ['a']);
    await untilItAnswers('web1');
    await untilForgotten('b');
    await assertOnlyGuests(world, { a: ['web1'] });
  });

  test('a guest is otherwise left as it is, and the report shows that it was lost', async (t) => {
    await boot('web2');
    const report = await unlessForbidden(t, () => lose('web2', 'hold'));
    if (report === undefined) return;
    assert.equal(report.outcome, 'lost', JSON.stringify(report.error));
    assert.equal(report.restartedAt, undefined);
    assert.deepEqual(await runningOn(world.lab, 'web2'), []);
    assert.ok((await seenQemus(world.lab)).some(({ guest }) => guest === 'web2'));
  });

  test('a guest that could not be started again is refused at the beginning', async (t: TestContext) => {
    const bare = await startBareGuest(world, {
      name: 'talker',
      host: 'a',
      args: ['-serial', 'stdio'],
    });
    t.after(() => bare.stop());
    const refusal = await refusalOf(world, {
      guest: 'talker',
      from: 'a',
      to: 'b',
      onLost: 'restart',
    });
    assertSays(refusal, 'GODWIT_RESTART', 'talker', 'terminal');
  });

  /** It boots: its memory is new, and takes a while to be filled. */
  async function untilItAnswers(guest: string): Promise<void> {
    await until(`${guest} to be up`, 90_000, async () => {
      const verified = await verifyGuest(world.lab, guest).catch(() => undefined);
      return verified?.ok === true ? true : undefined;
    });
  }

  async function untilForgotten(host: string): Promise<void> {
    const { stateDir } = labHost(world.lab, host);
    await until(`${host} to forget it`, FORGOTTEN_MS, async () => {
      const { migrations } = await world.agent(host).migrations({ query: { limit: 10 } });
      for (const { id } of migrations) {
        const file = path.join(stateDir, 'migrations', id, 'journal-destination.jsonl');
        if (!readFileSync(file, 'utf8').includes('"finished"')) return undefined;
      }
      return true;
    });
  }
});
