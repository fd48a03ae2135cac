import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { HOOK_NAMES, HOOKS } from '../../src/hooks/hooks.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { assertSays, move, refusalOf } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

describe('the hooks of two hosts', () => {
  const dir = path.join(tmpdir(), `godwit-hooks-${process.pid}`);
  const calls = path.join(dir, 'calls');
  let world: World;

  before(async () => {
    // Not before: a run of other tests alone reads this file too.
    mkdirSync(dir, { mode: 0o700 });
    for (const host of ['a', 'b']) {
      mkdirSync(path.join(dir, host));
      for (const hook of HOOK_NAMES) {
        const script = [
          '#!/bin/sh',
          `grep -q '"guest":"web1"' && echo ${host} ${hook} >>'${calls}'`,
          ...(hook === 'notice' ? ['echo ready'] : []),
          `[ "$(cat '${dir}/denied')" != ${hook} ] || { echo not today; exit 3; }`,
          '',
        ];
        writeFileSync(path.join(dir, host, hook), script.join('\n'), { mode: 0o755 });
      }
    }
    begin('none');
    const configure = (host: string) => ({ hooks: { directory: path.join(dir, host) } });
    world = await openWorld('hooks', { hosts: 2, configure });
    await startGuest(world.lab, { name: 'web1', host: 'a', ...SMALL_GUEST });
  });
  after(async () => {
    await world?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  function begin(denied: string): void {
    writeFileSync(path.join(dir, 'denied'), denied);
    writeFileSync(calls, '');
  }

  /** The last one is reported by a mover that has nothing else to do any more. */
  async function calledUntil(last: string): Promise<string[]> {
    return until(`the hook ${last}`, 20_000, () => {
      const lines = readFileSync(calls, 'utf8').trim().split('\n');
      return Promise.resolve(lines.includes(last) ? lines : undefined);
    });
  }

  for (const hook of ['before-start', 'prepare-destination', 'before-switchover'] as const) {
    test(`${hook}, when it fails, leaves the guest at its source with the reason`, async () => {
      begin(hook);
      const error = await refusalOf(world, { guest: 'web1', from: 'a', to: 'b' });
      assertSays(error, 'GODWIT_HOOK_FAILED', hook, 'ended with 3: not today');
      const called = await calledUntil('a after-rollback');
      assert.equal(called.at(-2), `${HOOKS[hook].side === 'source' ? 'a' : 'b'} ${hook}`);
      await assertOnlyGuests(world, { a: ['web1'] });
    });
  }

  test('the hooks are called in their order, each on its side, when the guest moves', async () => {
    begin('after-resume');
    await move(world, { guest: 'web1', from: 'a', to: 'b' });
    await calledUntil('b after-resume');
    const called = await calledUntil('a after-done');
    assert.deepEqual(
      called.filter((line) => line !== 'b after-resume'),
      ['a before-start', 'b prepare-destination', 'a before-switchover', 'a after-done'],
    );
    await assertOnlyGuests(world, { b: ['web1'] });
  });

  test('the notice hook, once its answer is ready, lets the guest move long before its timeout', async () => {
    begin('none');
    await move(world, { guest: 'web1', from: 'b', to: 'a', noticeMs: 600_000 });
    const called = await calledUntil('b after-done');
    assert.equal(called[0], 'b notice');
    await assertOnlyGuests(world, { a: ['web1'] });
  });
});
