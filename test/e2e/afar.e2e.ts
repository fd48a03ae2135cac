import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { until } from '../until.ts';
import { LabController } from './support/lab-controller.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

describe('a command line with access to the controller alone', () => {
  let world: World;
  let controller: LabController;

  before(async () => {
    world = await openWorld('afar', { hosts: 3 });
    await startGuest(world.lab, { name: 'far1', host: 'a', ...SMALL_GUEST });
    controller = new LabController(world);
    await controller.prepare();
    await controller.start();
    await until('the guest to be known', 60_000, async () => {
      const { guests } = await controller.api.guests();
      return guests.length === 1 ? true : undefined;
    });
  });
  after(async () => {
    await controller?.close();
    await world?.close();
  });

  const said = async (...words: readonly string[]): Promise<string> => {
    const { exit, out, err } = await controller.godwit(...words);
    assert.equal(exit, 0, `${words.join(' ')}: ${out}${err}`);
    return out;
  };

  test('a guest is shown, labelled, previewed and moved, and its report is read', async () => {
    assert.match(await said('guest', 'far1'), /far1/);
    assert.match(await said('label', 'far1', 'team=web'), /team=web/);
    assert.match(await said('migrate', 'far1', '--to', 'b', '--dry-run'), /would move to b/);
    const moved = await said('migrate', 'far1', '--to', 'b');
    assert.match(moved, /far1 moved from a to b/);
    const id = /m-[0-9a-z]+/.exec(moved)?.[0] ?? '';
    assert.match(await said('report', id), /far1 moved from a to b/);
    assert.equal((await verifyGuest(world.lab, 'far1')).ok, true);
    const { entries } = await controller.api.audit({ query: { what: 'host.migrate' } });
    assert.deepEqual(
      entries.map(({ result }) => result),
      ['ok'],
    );
  });

  test('a migration is cancelled and watched by the name of its guest', async () => {
    const flags = ['--max-bandwidth', '4MiB/s', '--max-downtime', '10ms', '--detach'];
    const id = (await said('migrate', 'far1', '--to', 'c', ...flags)).trim();
    // What a controller orders belongs to a request, which is asked about.
    const cancelled = await said('cancel', 'far1', '--yes');
    assert.match(cancelled, new RegExp(`^${id}: `));
    const watched = await controller.godwit('watch', 'far1');
    assert.match(`${watched.out}${watched.err}`, /far1/);
    await until('the guest to stay on b', 60_000, async () => {
      const { migrations } = await controller.api.migrations({
        query: { guest: 'far1', limit: 10 },
      });
      return migrations.some((each) => each.id === id && each.outcome === 'cancelled') || undefined;
    });
    assert.equal((await verifyGuest(world.lab, 'far1')).ok, true);
  });
});
