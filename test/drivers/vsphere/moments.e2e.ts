import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { VsphereDriver } from '../../../src/drivers/vsphere/driver.ts';
import type { DiscoveredGuest } from '../../../src/port/inventory.ts';
import { Random } from '../../../sim/random.ts';
import { hostNameIn, moveBy } from '../../managers/one-move.ts';
import { Vcsim, type CallFault } from './support/vcsim.ts';

const MIGRATIONS = 100;
const MOMENTS = 40;
const AT_ONCE = 10;
const TASK_MS = 2000;
/** Between two migrations that begin, and two things that happen, ms at most. */
const PAUSE_MS = 400;
const READ_MS = 60_000;
const SEED = 20_261_125;
const [HERE, THERE] = ['DC0_C0_H0', 'DC0_C0_H1'];
const CALLS: readonly CallFault[] = ['cut', '503', 'garbage', 'unanswered'];

/** Migrations of all guests, so many at a time. */
async function moveAll(
  vcenter: Vcsim,
  guests: readonly DiscoveredGuest[],
  directory: string,
): Promise<Map<string, string>> {
  const outcomes = new Map<string, string>();
  const left = [...guests];
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const { info, handle } = next;
      assert.ok(handle);
      const id = `m-moment${String(left.length).padStart(3, '0')}`;
      const hosts = { from: hostNameIn(HERE), to: hostNameIn(THERE) };
      const named = { id, guest: info.name, handle, ...hosts };
      outcomes.set(info.name, await moveBy(new VsphereDriver(vcenter.options), named, directory));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return outcomes;
}

async function somethingHappens(vcenter: Vcsim, random: Random): Promise<string> {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random.next() * all.length)] as T;
  const what = pick(['call', 'order', 'slow', 'expire', 'restart'] as const);
  switch (what) {
    case 'call':
      await vcenter.fault(pick(CALLS), { times: 1 + Math.floor(random.next() * 8) });
      break;
    case 'order':
      await vcenter.fault(pick(CALLS), { method: 'RelocateVM_Task' });
      break;
    case 'slow':
      await vcenter.fault('slow', { times: 8, ms: 700 });
      break;
    case 'expire':
      await vcenter.ask({ do: 'expire' });
      break;
    case 'restart':
      await vcenter.down();
      await vcenter.up();
  }
  return what;
}

test('100 migrations of a vCenter end with true verdicts, whatever happens to it at 40 moments', async (context) => {
  context.diagnostic(`seed ${SEED}`);
  const random = new Random(SEED);
  const vcenter = await Vcsim.open({ guests: MIGRATIONS });
  const directory = path.join(vcenter.dir, 'moves');
  mkdirSync(directory);
  const lists = new VsphereDriver(vcenter.options);
  try {
    const names = Array.from({ length: MIGRATIONS }, (_none, index) => `DC0_C0_RP0_VM${index}`);
    for (const name of names) await vcenter.ask({ do: 'move', name, value: HERE });
    await vcenter.tasks(TASK_MS);
    const options = { host: 'm', busy: new Set<string>(), configured: [] };
    const found = await lists.discover(options, AbortSignal.timeout(READ_MS));
    const guests = found.filter(({ info }) => names.includes(info.name));
    assert.equal(guests.length, MIGRATIONS);
    const moving = moveAll(vcenter, guests, directory);
    const happened: string[] = [];
    for (let moment = 0; moment < MOMENTS; moment += 1) {
      await systemClock.sleep(random.next() * PAUSE_MS);
      happened.push(await somethingHappens(vcenter, random));
    }
    const outcomes = await moving;
    const placed = await vcenter.guests();
    const counts: Record<string, number> = {};
    for (const [name, outcome] of outcomes) {
      const real = placed[name];
      assert.ok(real !== undefined && real.tasks <= 1, `${name}: ${JSON.stringify(real)}`);
      assert.equal(real.moving, false, name);
      // What nobody can know is held, and not reported as the one or the other.
      if (outcome !== 'held')
        assert.equal(outcome === 'done', real.host === THERE, `${name} is ${outcome}`);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
    assert.equal(outcomes.size, MIGRATIONS);
    context.diagnostic(JSON.stringify({ happened, counts }));
  } finally {
    await lists.close();
    await vcenter.close();
  }
});
