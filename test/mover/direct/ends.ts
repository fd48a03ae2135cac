import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Stage } from './stage.ts';
import type { Hosts } from './lay-host.ts';

/** How migrations on a stage begin and how they may end. */

/** A migration whose switchover is held, though it goes by pre-copy: a hybrid one of a guest that writes little. */
export function openHeld(t: TestContext, certificates: Hosts): Promise<Stage> {
  return Stage.open(t, certificates, 'hybrid', { dirtyRate: 10 * 1024 ** 2 });
}

/** Where `continueSwitchover` is called at all. */
export function openFor(call: string, t: TestContext, certificates: Hosts): Promise<Stage> {
  return call === 'source.continueSwitchover'
    ? openHeld(t, certificates)
    : Stage.open(t, certificates);
}

/** The guest runs there, and nothing is left here. */
export function assertMoved({ hosts, report }: Stage): void {
  assert.deepEqual(hosts.world.runningAt('web1'), ['b']);
  assert.deepEqual(hosts.alive, [hosts.destination]);
  assert.deepEqual([report.outcome, report.runsAt], ['done', 'destination']);
}

/** The guest runs here as it did, and nothing is left there. */
export function assertStayed({ hosts, report }: Stage): void {
  assert.deepEqual(hosts.world.runningAt('web1'), ['a']);
  assert.deepEqual(hosts.alive, [hosts.source]);
  assert.deepEqual(hosts.source.settings, {});
  assert.equal(report.runsAt, 'source');
}
