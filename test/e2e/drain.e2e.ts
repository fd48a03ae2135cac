import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { isRequestEnd } from '../../src/protocol/controller/fleet-request.ts';
import { until } from '../until.ts';
import { godwit } from './support/cli.ts';
import { LabController } from './support/lab-controller.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const GUESTS = ['dr1', 'dr2'] as const;

describe('a drain by a controller', () => {
  let world: World;
  let controller: LabController;

  before(async () => {
    world = await openWorld('drain', { hosts: 3 });
    for (const name of GUESTS) {
      await startGuest(world.lab, { name, host: 'a', ...SMALL_GUEST });
    }
    controller = new LabController(world);
    await controller.prepare();
    await controller.start();
  });
  after(async () => {
    await controller?.close();
    await world?.close();
  });

  const hostsOf = async (): Promise<Record<string, string>> => {
    const { out } = await godwit(world, 'guests', '--json');
    const { guests } = JSON.parse(out) as { guests: { name: string; host: string }[] };
    assert.equal(guests.length, GUESTS.length, out);
    return Object.fromEntries(guests.map(({ name, host }) => [name, host]));
  };
  /** Asks for the controller's list until the work is over and the hosts agree: how often, and what did not have each guest once. */
  const listedDuring = async (
    work: Promise<unknown>,
  ): Promise<{ polls: number; wrong: string[] }> => {
    let isOver = false;
    void work.finally(() => (isOver = true)).catch(() => {});
    const wrong: string[] = [];
    let polls = 0;
    await until('the work to end and the hosts to agree', 120_000, async () => {
      const isLast = isOver;
      const { guests } = await controller.api.guests({ query: {} });
      polls += 1;
      const names = guests.map(({ name }) => name).toSorted();
      if (names.join() !== GUESTS.join())
        wrong.push(guests.map(({ name, host, state }) => `${name} ${host} ${state}`).join(', '));
      const isSettled = guests.every((each) => (each.migration ?? each.copies) === undefined);
      return isLast && isSettled ? true : undefined;
    });
    return { polls, wrong };
  };
  const migrations = async (): Promise<{ guest: string; phase: string }[]> => {
    const { out } = await godwit(world, 'migrations', '--json');
    return (JSON.parse(out) as { migrations: { guest: string; phase: string }[] }).migrations;
  };

  test('a drain begins nothing as a dry run, and nothing unconfirmed', async () => {
    const dry = await controller.godwit('drain', 'a', '--dry-run');
    assert.equal(dry.exit, 0, dry.err);
    for (const name of GUESTS) assert.match(dry.out, new RegExp(`${name} +a → [bc]`));
    const asked = await controller.godwit('drain', 'a');
    assert.equal(asked.exit, 2, asked.out);
    assert.match(asked.err, /--yes/);
    assert.deepEqual(await migrations(), []);
    assert.match((await controller.godwit('requests')).out, /no requests/);
  });

  test('a drain empties a host of real guests, and reports it only then', async () => {
    const drain = controller.godwit('drain', 'a', '--to', 'b', '--yes');
    const { polls, wrong } = await listedDuring(drain);
    const drained = await drain;
    assert.equal(drained.exit, 0, drained.out + drained.err);
    assert.match(drained.out, /drain of a: done, 2 moved/);
    assert.ok(polls > GUESTS.length, `${polls} polls`);
    assert.deepEqual(wrong, []);
    assert.deepEqual(await hostsOf(), { dr1: 'b', dr2: 'b' });
    for (const name of GUESTS) assert.equal((await verifyGuest(world.lab, name)).ok, true);
    // Nothing comes to a drained host until that is ended.
    const back = await controller.godwit('drain', 'b', '--to', 'a', '--dry-run');
    assert.match(back.out, /nothing to move now.*waits: dr1/s);
    assert.equal((await controller.godwit('undrain', 'a')).exit, 0);
  });

  test('a drain continues when its controller is killed, loses nothing and does nothing twice', async () => {
    const before = (await migrations()).length;
    const begun = await controller.godwit('drain', 'b', '--to', 'c', '--yes', '--detach', '--json');
    assert.equal(begun.exit, 0, begun.err);
    const { id } = JSON.parse(begun.out.slice(begun.out.lastIndexOf('{"id"'))) as { id: string };
    await until('a move to run', 30_000, async () => {
      const { moves } = await controller.api.request({ params: { id } });
      return moves.some(({ phase }) => phase === 'running') ? true : undefined;
    });
    await controller.kill();
    await controller.start();
    const { request, moves } = await until('the drain to end', 90_000, async () => {
      const found = await controller.api.request({ params: { id } });
      return isRequestEnd(found.request.phase) ? found : undefined;
    });
    assert.deepEqual(
      [request.phase, request.moved],
      ['done', GUESTS.length],
      JSON.stringify(request),
    );
    assert.deepEqual(moves.map(({ guest }) => guest).toSorted(), [...GUESTS]);
    assert.equal((await migrations()).length, before + GUESTS.length);
    assert.deepEqual(await hostsOf(), { dr1: 'c', dr2: 'c' });
    for (const name of GUESTS) assert.equal((await verifyGuest(world.lab, name)).ok, true);
  });

  test('a drain of a host that received a guest by hand is done once that guest has left again', async () => {
    for (const host of ['a', 'b']) await controller.godwit('undrain', host);
    // No controller ordered it, and the list of b does not have the guest yet.
    const moved = await godwit(world, 'migrate', 'dr1', '--to', 'b', '--detach');
    assert.equal(moved.exit, 0, moved.out + moved.err);
    const drained = await controller.godwit('drain', 'b', '--to', 'a', '--yes');
    assert.equal(drained.exit, 0, drained.out + drained.err);
    assert.match(drained.out, /drain of b: done, 1 moved/);
    assert.deepEqual(await hostsOf(), { dr1: 'a', dr2: 'c' });
    // The host itself refuses guests from now on, whoever sends them.
    const refused = await godwit(world, 'migrate', 'dr1', '--to', 'b');
    assert.match(refused.err, /b accepts no guests: the request r-\S+ empties it/);
    assert.equal((await controller.godwit('undrain', 'b')).exit, 0);
    const back = await godwit(world, 'migrate', 'dr1', '--to', 'c');
    assert.equal(back.exit, 0, back.out + back.err);
    assert.equal((await verifyGuest(world.lab, 'dr1')).ok, true);
  });

  test('a drain does not repeat a move that a person cancelled, and the cancel first points to the request', async () => {
    await controller.godwit('undrain', 'b');
    const begun = await controller.godwit('drain', 'c', '--max-parallel', '1', '--yes', '--detach');
    assert.equal(begun.exit, 0, begun.err);
    const [named = ''] = /r-[0-9a-z]+/.exec(begun.out) ?? [];
    const params = { id: named };
    const first = await until('a move to run', 30_000, async () => {
      const { moves } = await controller.api.request({ params });
      return moves.find(({ phase }) => phase === 'running');
    });
    const unconfirmed = await godwit(world, 'cancel', first.id);
    assert.equal(unconfirmed.exit, 2, unconfirmed.out + unconfirmed.err);
    assert.ok(unconfirmed.err.includes(named), unconfirmed.err);
    const cancelled = await godwit(world, 'cancel', first.id, '--yes');
    assert.equal(cancelled.exit, 0, cancelled.out + cancelled.err);
    const { request, moves } = await until('the drain to end', 90_000, async () => {
      const found = await controller.api.request({ params });
      return isRequestEnd(found.request.phase) ? found : undefined;
    });
    assert.equal(request.phase, 'left');
    assert.equal(moves.filter(({ guest }) => guest === first.guest).length, 1);
    assert.deepEqual(request.stays, [
      { guest: first.guest, host: 'c', words: `its move ${first.id} was cancelled` },
    ]);
    assert.equal((await hostsOf())[first.guest], 'c');
    await controller.godwit('undrain', 'c');
    const back = await godwit(world, 'migrate', moves[1]?.guest ?? 'dr1', '--to', 'c');
    assert.equal(back.exit, 0, back.out + back.err);
  });

  test('a drain that is cancelled in the middle begins nothing more and loses no guest', async () => {
    await controller.godwit('undrain', 'b');
    const slow = await controller.godwit('drain', 'c', '--max-parallel', '1', '--yes', '--detach');
    assert.equal(slow.exit, 0, slow.err);
    await until('the first move to run', 30_000, async () => {
      const { requests } = await controller.api.requests();
      return requests.some(({ words }) => words.includes('under way')) ? true : undefined;
    });
    const cancelled = await controller.godwit('drain', 'c', '--cancel', '--roll-back');
    assert.equal(cancelled.exit, 0, cancelled.err);
    assert.match(cancelled.out, /no further moves start/);
    const ended = await until('the drain to end', 60_000, async () => {
      const { requests } = await controller.api.requests();
      const found = requests.find(({ ask }) => ask.hosts.includes('c'));
      return found !== undefined && isRequestEnd(found.phase) ? found : undefined;
    });
    assert.equal(ended.phase, 'cancelled');
    const where = await hostsOf();
    assert.ok(
      Object.values(where).filter((host) => host === 'c').length >= 1,
      JSON.stringify(where),
    );
    for (const name of GUESTS) assert.equal((await verifyGuest(world.lab, name)).ok, true);
  });
});
