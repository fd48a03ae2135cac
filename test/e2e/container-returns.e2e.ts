import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { agentsOf } from '../../lab/agents.ts';
import { runCommand } from '../../lab/command.ts';
import { startContainer } from '../../lab/container/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { openProbe } from '../../lab/probe/probe.ts';
import { labHost } from '../../lab/state.ts';
import { cgroupsOf, containerRunsOn } from '../../lab/witness/containers.ts';
import { bringContainers } from '../drivers/criu/bring.ts';
import { untilNoneLeft } from './support/containers.ts';
import { move } from './support/moves.ts';
import { assertUnchanged, hostsNow } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

/** How often the container goes there and back: GODWIT_TEST_RETURNS=20 makes 40 moves. */
const RETURNS = Number(process.env['GODWIT_TEST_RETURNS'] ?? '2');
const MIB = 1024 ** 2;
const BOX = `ret-${process.pid}`;
const STATIC_BYTES = 24 * MIB;
const DIRTY_BYTES = 8 * MIB;
/** What an agent's heap may differ by between two looks; one that kept what moves carry would have grown by more. */
const MEMORY_BYTES = 2 * (STATIC_BYTES + DIRTY_BYTES);
/** Of one move; a busy machine takes long. */
const MOVE_MS = 60_000;
const timeout = (2 * RETURNS + 4) * MOVE_MS;
const skip = process.getuid?.() === 0 ? false : 'CRIU and runc need root';

describe('a container with repeated returns', { skip, timeout }, () => {
  let world: World;

  before(async () => {
    assert.ok(
      Number.isInteger(RETURNS) && RETURNS > 0,
      'GODWIT_TEST_RETURNS is a number from 1 on',
    );
    await bringContainers();
    world = await openWorld('ret', { hosts: 2, containers: true });
    await startContainer(world.lab, {
      name: BOX,
      host: 'a',
      staticBytes: STATIC_BYTES,
      dirtyBytes: DIRTY_BYTES,
      dirtyBytesPerSecond: MIB,
    });
  });
  after(async () => {
    await world?.close();
    assert.deepEqual(await cgroupsOf(BOX), []);
  });

  async function thereAndBack(): Promise<number[]> {
    const stoppedMs: number[] = [];
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      const report = await move(world, { guest: BOX, from, to });
      stoppedMs.push(report.blackoutMs ?? 0);
      assert.deepEqual(await containerRunsOn(world.lab, BOX), [to]);
      await untilNoneLeft(world, from);
    }
    return stoppedMs;
  }

  /** What the kernel holds for the lab: mounts, namespaces, cgroups of the container, and rules of firewalls. */
  async function heldByKernel(): Promise<Record<string, readonly string[]>> {
    const { lab } = world;
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    const states = lab.hosts.map((host) => labHost(lab, host).stateDir);
    const rules = lab.hosts.map((host) =>
      runCommand(['ip', 'netns', 'exec', labHost(lab, host).namespace, 'nft', 'list', 'ruleset']),
    );
    return {
      mounts: mounts
        .map((line) => line.split(' ')[4] ?? '')
        .filter((at) => states.some((state) => at.startsWith(`${state}/`)))
        .map((at) => at.replaceAll(/[0-9a-f]{16}/g, 'TOKEN'))
        .toSorted(),
      cgroups: (await cgroupsOf(BOX)).toSorted(),
      rules: await Promise.all(rules),
    };
  }

  async function memoryOfAgents(): Promise<number> {
    const agents = await Promise.all(world.lab.hosts.map((host) => agentsOf(world.lab, host)));
    const sizes = agents.flat().map(({ pid }) => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
    });
    return sizes.reduce((sum, bytes) => sum + bytes, 0);
  }

  test(
    'a container keeps one connection and its memory, and leaves nothing behind on either host',
    { timeout },
    async (t) => {
      const { lab } = world;
      const { hash } = await verifyGuest(lab, BOX);
      // What hosts keep on purpose, such as checksums of layers, is there after the first time.
      await thereAndBack();
      const [hosts, held, memory] = [
        await hostsNow(lab),
        await heldByKernel(),
        await memoryOfAgents(),
      ];
      const probe = await openProbe(lab, BOX, { intervalMs: 10 });
      try {
        await probe.mark();
        for (let round = 1; round <= RETURNS; round += 1) {
          const stoppedMs = await thereAndBack();
          const { clientGapMs } = await probe.settle(60_000);
          t.diagnostic(
            `${2 * round} moves: stopped ${stoppedMs.join(' and ')} ms; greatest gap so far ${clientGapMs} ms`,
          );
          assert.partialDeepStrictEqual(await verifyGuest(lab, BOX), {
            ok: true,
            hash,
            badChunks: 0,
          });
        }
        const view = await probe.settle(60_000);
        assert.equal(view.connectionKept, true, JSON.stringify(view));
      } finally {
        await probe.stop();
      }
      await assertUnchanged(world, hosts);
      assert.deepEqual(await heldByKernel(), held);
      const grown = (await memoryOfAgents()) - memory;
      t.diagnostic(`memory of both agents: ${(grown / MIB).toFixed(1)} MiB more`);
      assert.ok(grown < MEMORY_BYTES, `agents hold ${grown} bytes more than before`);
    },
  );
});
