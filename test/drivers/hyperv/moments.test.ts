import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { HypervDriver } from '../../../src/drivers/hyperv/driver.ts';
import type { GuestHandle } from '../../../src/port/inventory.ts';
import type { ManagedSession } from '../../../src/port/managed.ts';
import { Random } from '../../../sim/random.ts';
import { HypervPlace } from '../../managers/hyperv/place.ts';
import { moveBy } from '../../managers/one-move.ts';
import { until } from '../../until.ts';

/** The whole measure is 100. */
const MIGRATIONS = Number(process.env['GODWIT_HYPERV_MOVES'] ?? 10);
const MOMENTS = Math.ceil(MIGRATIONS * 0.4);
const AT_ONCE = 10;
const TASK_MS = 1500;
/** An order reaches these hosts at once or never: one that nobody answered counts as none after that, and not after 120 s. */
const SETTLES_MS = 4000;
const READ_MS = 60_000;
/** Of the next migration. */
const BEGINS_MS = 300_000;
const SEED = 20_261_126;

class QuickDriver extends HypervDriver {
  override async openManaged(handle: GuestHandle): Promise<ManagedSession> {
    const session = await super.openManaged(handle);
    return Object.defineProperty(session, 'settlesMs', { value: SETTLES_MS });
  }
}

const KINDS = [
  'cut',
  'unanswered',
  'slow',
  '503',
  'garbage',
  'late',
  'expired',
  'winrm',
  'vmms',
] as const;

/** To one of both hosts, for a while. */
async function somethingHappens(place: HypervPlace, random: Random): Promise<string> {
  const { source, destination, world } = place;
  const server = random.pick([source, source, destination]);
  const { temper } = server;
  const times = random.whole(1, 8);
  const kind = random.pick(KINDS);
  switch (kind) {
    case 'cut':
      temper.cutBefore = times;
      break;
    case 'unanswered':
      temper.cutAfter = times;
      break;
    case 'slow':
      temper.slowMs = 60;
      await systemClock.sleep(400);
      temper.slowMs = 0;
      break;
    case '503':
      temper.status = { code: 503, times };
      break;
    case 'garbage':
      temper.garbage = { text: '<html>a proxy’s page</html>', times };
      break;
    case 'late':
      temper.timeouts = times;
      break;
    case 'expired':
      temper.forgets = times;
      break;
    case 'winrm':
      await server.down();
      await systemClock.sleep(random.next() * 100);
      await server.up();
      break;
    case 'vmms':
      world.restart();
  }
  return kind;
}

async function handlesOf(place: HypervPlace): Promise<Map<string, GuestHandle>> {
  const options = { host: 'a', busy: new Set<string>(), configured: [] };
  const found = await place.driver().discover(options, AbortSignal.timeout(READ_MS));
  return new Map(
    found.flatMap(({ info, handle }): [string, GuestHandle][] =>
      handle === undefined ? [] : [[info.name, handle]],
    ),
  );
}

/** Migrations of all guests, so many at a time. `begins` hears of each. */
async function moveAll(
  place: HypervPlace,
  handles: ReadonlyMap<string, GuestHandle>,
  begins: () => void,
): Promise<Map<string, string>> {
  const directory = path.join(place.dir, 'moves');
  mkdirSync(directory);
  const outcomes = new Map<string, string>();
  const left = [...handles];
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [guest, handle] = next;
      begins();
      const id = `m-moment${String(left.length).padStart(3, '0')}`;
      const move = { id, guest, handle, from: 'a', to: 'b' };
      outcomes.set(guest, await moveBy(new QuickDriver('a', place.options()), move, directory));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return outcomes;
}

/** After how many migrations have begun each of them comes. */
function momentsOf(random: Random): number[] {
  const all = Array.from({ length: MOMENTS }, () => random.whole(0, MIGRATIONS - 1));
  return all.toSorted((one, other) => one - other);
}

test("migrations of Hyper-V's guests end with true verdicts, whatever happens to its hosts at whatever time", async (context) => {
  context.diagnostic(`seed ${SEED}`);
  const random = new Random(SEED);
  const place = await HypervPlace.open();
  const { world } = place;
  world.taskMs = TASK_MS;
  try {
    for (let each = 0; each < MIGRATIONS; each += 1) world.guest(`web${each}`, 'hv1');
    const handles = await handlesOf(place);
    assert.equal(handles.size, MIGRATIONS);
    let begun = 0;
    const moving = moveAll(place, handles, () => (begun += 1));
    const happened: string[] = [];
    for (const after of momentsOf(random)) {
      await until(`migration ${after}`, BEGINS_MS, async () => begun > after || undefined);
      await systemClock.sleep(random.next() * TASK_MS);
      happened.push(await somethingHappens(place, random));
    }
    const outcomes = await moving;
    world.turn();
    const counts: Record<string, number> = {};
    for (const { name, host, id } of world.guests) {
      const outcome = outcomes.get(name);
      assert.ok((world.begun.get(name) ?? 0) <= 1, `${name} was ordered more than once`);
      const isMoving = world.jobs.some(
        ({ machine, state }) => machine === id.toUpperCase() && state === 4,
      );
      assert.equal(isMoving, false, `${name} is ${outcome}, and still moves`);
      // What nobody can know is held, and not reported as the one or the other.
      if (outcome !== 'held')
        assert.equal(outcome === 'done', host === 'hv2', `${name} is ${outcome}`);
      counts[outcome ?? 'lost'] = (counts[outcome ?? 'lost'] ?? 0) + 1;
    }
    assert.equal(outcomes.size, MIGRATIONS);
    context.diagnostic(JSON.stringify({ happened, counts }));
  } finally {
    await place.close();
  }
});
