import assert from 'node:assert/strict';
import type { Report } from '../../../src/protocol/public/migration.ts';
import type { WatchedGuest } from './client-view.ts';
import { move, type Move } from './moves.ts';
import { assertOnlyGuests } from './remains.ts';
import type { World } from './world.ts';

/** Moves a watched guest: it arrives unharmed, and is the only thing that is on the lab's hosts. */
export async function moveOver(
  world: World,
  watched: WatchedGuest,
  request: Move,
): Promise<Report> {
  let report: Report | undefined;
  await watched.unharmed(request.to, async () => {
    report = await move(world, request);
  });
  await assertOnlyGuests(world, { [request.to]: [request.guest] });
  assert.ok(report !== undefined);
  return report;
}
