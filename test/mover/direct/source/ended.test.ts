import assert from 'node:assert/strict';
import { before, test, type TestContext } from 'node:test';
import { hostsFor, type Hosts } from '../lay-host.ts';
import { Stage, killSourceAt, spareSource } from '../stage.ts';
import { untilSo } from '../../../until.ts';

let certificates: Hosts;

before(async (t) => {
  certificates = await hostsFor(t as TestContext);
});

test('a source hypervisor that ends after the handover does not keep the migration from its end', async (t) => {
  const example = await Stage.open(t, certificates);
  await example.run();
  const commits = example.events.findIndex(({ type, ...event }) => {
    return type === 'did' && 'step' in event && event.step === 'commit';
  });
  const stage = await Stage.open(t, certificates);
  killSourceAt(t, commits, 'after');
  await assert.rejects(stage.run(), /the mover was killed/);
  spareSource(t);
  stage.hosts.world.kill(stage.hosts.source);
  assert.equal(await stage.run(), 'done');
  assert.deepEqual(stage.hosts.alive, [stage.hosts.destination]);
});

/** Post-copy whose source has lost its mover just after commit, and then, `when` that is so, its hypervisor. */
async function drainWithoutSource(t: TestContext, when: (stage: Stage) => boolean): Promise<Stage> {
  const example = await Stage.open(t, certificates, 'postcopy');
  await example.run();
  const commits = example.events.findIndex(({ type, ...event }) => {
    return type === 'did' && 'step' in event && event.step === 'commit';
  });
  const stage = await Stage.open(t, certificates, 'postcopy');
  killSourceAt(t, commits, 'after');
  await assert.rejects(stage.run(), /the mover was killed/);
  spareSource(t);
  await untilSo(() => when(stage));
  stage.hosts.world.kill(stage.hosts.source);
  return stage;
}

test('post-copy that ended before its source died, unseen by any mover, is done', async (t) => {
  const stage = await drainWithoutSource(t, ({ hosts }) => hosts.source.stream === 'completed');
  assert.equal(await stage.run(), 'done');
  assert.deepEqual(stage.hosts.alive, [stage.hosts.destination]);
});

test('a destination whose hypervisor ended without a mover does not count as running', async (t) => {
  const stage = await Stage.open(t, certificates);
  stage.hosts.onCall = (name) => {
    const { destination, world } = stage.hosts;
    if (name !== 'destination.announce' || destination === undefined) return;
    stage.killDestination();
    world.kill(destination);
  };
  assert.equal(await stage.run(), 'lost');
  assert.equal(stage.report.error?.code, 'GODWIT_LOST');
});
