import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { isRequestEnd } from '../../src/protocol/controller/fleet-request.ts';
import { until } from '../until.ts';
import { godwit } from './support/cli.ts';
import { LabController } from './support/lab-controller.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const GUEST = `roll${process.pid}`;

describe('a roll by a controller', () => {
  let world: World;
  let controller: LabController;
  let reported: string;
  let slow: string;

  before(async () => {
    world = await openWorld('roll', { hosts: 3 });
    await startGuest(world.lab, { name: GUEST, host: 'a', ...SMALL_GUEST });
    controller = new LabController(world);
    reported = path.join(controller.directory, 'reported');
    slow = path.join(controller.directory, 'slow');
    const file = path.join(controller.directory, 'upgrade');
    // It reports what it was given, and takes its time while `slow` is there.
    const lines = ['#!/bin/sh', `cat >> ${reported}`, `while test -e ${slow}; do sleep 0.2; done`];
    writeFileSync(file, `${lines.join('\n')}\n`);
    chmodSync(file, 0o755);
    await controller.prepare({ programs: { upgrade: { file, timeoutMs: 60_000 } } });
    await controller.start();
  });
  after(async () => {
    await controller?.close();
    await world?.close();
  });

  const home = async (): Promise<string | undefined> => {
    const { out } = await godwit(world, 'guests', '--json');
    const { guests } = JSON.parse(out) as { guests: { name: string; host: string }[] };
    return guests.find(({ name }) => name === GUEST)?.host;
  };
  const runs = (): { host: string; id: string }[] =>
    (existsSync(reported) ? readFileSync(reported, 'utf8').trim().split('\n') : []).map(
      (line) => JSON.parse(line) as { host: string; id: string },
    );

  test('a roll shows as a dry run where the guests go, and runs nothing', async () => {
    const dry = await controller.godwit('roll', '--hosts', 'a,b', '--run', 'upgrade', '--dry-run');
    assert.equal(dry.exit, 0, dry.err);
    assert.match(dry.out, new RegExp(`${GUEST} +a → [bc]`));
    assert.deepEqual(runs(), []);
    assert.equal(await home(), 'a');
  });

  test('a roll empties each host for its program, and the guest survives', async () => {
    const words = ['--hosts', 'a,b', '--run', 'upgrade', '--to', 'b,c', '--yes'];
    const rolled = await controller.godwit('roll', ...words);
    assert.equal(rolled.exit, 0, rolled.out + rolled.err);
    assert.match(rolled.out, /roll of a, b: done, [12] moved: 2 hosts rolled/);
    assert.deepEqual(
      runs().map(({ host }) => host),
      ['a', 'b'],
    );
    assert.equal(await home(), 'c');
    assert.equal((await verifyGuest(world.lab, GUEST)).ok, true);
  });

  test('a roll continues when its controller is killed while the program runs, and brings the guest back', async () => {
    const before = runs().length;
    writeFileSync(slow, '');
    const words = [
      '--hosts',
      'c',
      '--run',
      'upgrade',
      '--come-back',
      '--yes',
      '--detach',
      '--json',
    ];
    const begun = await controller.godwit('roll', ...words);
    assert.equal(begun.exit, 0, begun.err);
    const { id } = JSON.parse(begun.out.slice(begun.out.lastIndexOf('{"id"'))) as { id: string };
    await until('the program to run', 60_000, async () =>
      runs().length > before ? true : undefined,
    );
    assert.notEqual(await home(), 'c');
    await controller.kill();
    await controller.start();
    await until('the program to be asked again', 60_000, async () =>
      runs().length > before + 1 ? true : undefined,
    );
    rmSync(slow);
    const { request } = await until('the roll to end', 90_000, async () => {
      const found = await controller.api.request({ params: { id } });
      return isRequestEnd(found.request.phase) ? found : undefined;
    });
    assert.equal(request.phase, 'done', request.words);
    assert.deepEqual(
      runs()
        .slice(before)
        .map((each) => each.id),
      [`${id}.c`, `${id}.c`],
    );
    assert.equal(await home(), 'c');
    assert.equal((await verifyGuest(world.lab, GUEST)).ok, true);
  });
});
