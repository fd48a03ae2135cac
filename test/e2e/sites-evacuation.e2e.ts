import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  evacuatedLab,
  evacuateSite,
  missesOf,
  prepareEvacuation,
  SMALL_FIRST,
} from './support/evacuation.ts';
import type { LabController } from './support/lab-controller.ts';
import { openWorld, type World } from './support/world.ts';

describe('six guests with priorities and a tight deadline over a thin line', () => {
  let world: World;
  let controller: LabController;

  before(async () => {
    world = await openWorld('evac', evacuatedLab(SMALL_FIRST));
    controller = await prepareEvacuation(world.lab, SMALL_FIRST);
  });
  after(async () => {
    await controller?.close();
    await world?.close();
  });

  test('the most important guests arrive in time, and the remaining ones were named with their reason before', async (t) => {
    const found = await evacuateSite(world.lab, controller, SMALL_FIRST);
    const { plan, request, over, seconds, deadlineAtMs } = found;
    const leftS = (deadlineAtMs - request.createdAtMs) / 1000;
    t.diagnostic(
      `${over.join()} over after ${seconds.toFixed(1)} s of ${leftS.toFixed(1)} s, predicted ${plan.seconds.toFixed(1)} s`,
    );
    assert.deepEqual(await missesOf(world.lab, SMALL_FIRST, found), []);
    assert.deepEqual(
      plan.steps.map(({ guest }) => guest),
      ['g6', 'g5', 'g4'],
    );
    for (const { guest, words } of plan.stays) assert.match(words, /before the deadline$/, guest);
  });
});
