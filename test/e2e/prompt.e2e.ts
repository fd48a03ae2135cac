import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startAgent, stopAgent } from '../../src/lab/agents.ts';
import { startGuest } from '../../src/lab/guest/start.ts';
import { JSON_SHAPES } from '../../src/cli/json-shapes.ts';
import { godwit } from './support/cli.ts';
import { openWorld } from './support/world.ts';
import type { World } from './support/world.ts';

const MIB = 1024 ** 2;
const INCOMPLETE = 8;

describe('what the command line says', () => {
  let world: World;

  before(async () => {
    world = await openWorld('prompt', { hosts: 3 });
    await startGuest(world.lab, {
      name: 'web1',
      host: 'c',
      memoryBytes: 192 * MIB,
      workingSetBytes: 8 * MIB,
    });
  });
  after(async () => {
    await world?.close();
  });

  test('names a host that does not answer, by every agent that is asked, and exits with an error', async () => {
    await stopAgent(world.lab, 'c');
    try {
      for (const where of [[], ['--host', 'a']]) {
        const guests = await godwit(world, 'guests', ...where);
        assert.equal(guests.exit, INCOMPLETE, guests.out + guests.err);
        assert.match(guests.out, /^no guests on the hosts that answered$/m);
        assert.match(guests.err, /^error: the list of guests is incomplete: no answer from c /m);
        const guest = await godwit(world, 'guest', 'web1', ...where);
        assert.equal(guest.exit, INCOMPLETE, guest.out + guest.err);
        assert.match(guest.err, /^error: the search for web1 is incomplete: no answer from c /m);
        const list = await godwit(world, 'migrations', '--json', ...where);
        assert.equal(list.exit, INCOMPLETE, list.out + list.err);
        const told = JSON_SHAPES['migrations']?.parse(JSON.parse(list.out)) as {
          missing: { host: string }[];
        };
        assert.deepEqual(
          told.missing.map(({ host }) => host),
          ['c'],
        );
      }
    } finally {
      await startAgent(world.lab, 'c');
    }
    const guests = await godwit(world, 'guests', '--host', 'a');
    assert.equal(guests.exit, 0, guests.out + guests.err);
    assert.match(guests.out, /^web1 +c /m);
  });
});
