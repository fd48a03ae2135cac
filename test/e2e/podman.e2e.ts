import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { runCommand } from '../../lab/command.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { stopAgent, startAgent } from '../../lab/agents.ts';
import { bringImage, startPodman, type PodmanGuest } from './support/podman-container.ts';
import { podmanLacks, podmanOn } from '../../lab/podman/hosts.ts';
import { signalProcess } from '../../lab/processes.ts';
import { conmonsOf, podmanKnows, podmanLeftovers } from './support/podman-witness.ts';
import { pids } from '../../src/system/processes/process.ts';
import { until } from '../until.ts';
import { godwit } from './support/cli.ts';
import { keepsConnection } from './support/containers.ts';
import {
  begin,
  checkedRefusal,
  move,
  reportAtEnd,
  SLOW,
  untilMemoryFlows,
} from './support/moves.ts';
import { killMover } from './support/movers.ts';
import { makeGates, type Gates } from './support/podman-gates.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const SETUP = fileURLToPath(new URL('../../tools/setup.sh', import.meta.url));
/** GODWIT_TEST_RETURNS=20 makes 40 moves in a row. */
const RETURNS = Number(process.env['GODWIT_TEST_RETURNS'] ?? '0');
const skip = process.getuid?.() === 0 ? false : 'podman, CRIU and its runtimes need root here';

describe('a container of podman with a live TCP client', { skip }, () => {
  let world: World;
  let gates: Gates;
  const guests = new Map<string, PodmanGuest>();

  before(async () => {
    await runCommand(['bash', SETUP, '--only', 'podman'], { deadlineMs: 900_000 });
    const lacks = await podmanLacks();
    if (lacks !== undefined) throw lacks;
    gates = await makeGates();
    const criu = { programs: gates.directory };
    world = await openWorld('podman', {
      hosts: 2,
      manager: 'podman',
      configure: () => ({ drivers: { criu } }),
    });
    await bringImage(world.lab);
    for (const runtime of ['runc', 'crun'] as const) {
      const size = { staticBytes: 24 * MIB, dirtyBytes: 8 * MIB, dirtyBytesPerSecond: MIB };
      const options = ['--restart', 'always', '--label', 'tier=web'];
      guests.set(
        runtime,
        await startPodman(world.lab, {
          name: `box-${runtime}`,
          host: 'a',
          runtime,
          ...size,
          options,
        }),
      );
    }
  });
  after(async () => {
    await world?.close();
    await gates?.remove();
    for (const { id } of guests.values()) assert.deepEqual(await conmonsOf(id), []);
  });

  function box(runtime: string): PodmanGuest {
    const found = guests.get(runtime);
    assert.ok(found);
    return found;
  }

  const exec = (host: string, { name }: PodmanGuest, script: string): Promise<string> =>
    podmanOn(world.lab, host, [
      'exec',
      '-e',
      'LD_LIBRARY_PATH=/lib',
      name,
      '/bin/node',
      '-e',
      script,
    ]);

  /** One copy runs, podman of that host alone knows it, and the client has the connection it had. */
  async function unharmed(
    guest: PodmanGuest,
    host: string,
    work: () => Promise<unknown>,
  ): Promise<void> {
    const { hash } = await verifyGuest(world.lab, guest.name);
    await keepsConnection(world, guest.name, work);
    assert.partialDeepStrictEqual(await verifyGuest(world.lab, guest.name), {
      ok: true,
      hash,
      badChunks: 0,
    });
    const other = host === 'a' ? 'b' : 'a';
    await until(`nothing left on ${other}`, 60_000, async () =>
      (await podmanLeftovers(world.lab, other, guest.id)).length === 0 ? true : undefined,
    );
    assert.deepEqual(await podmanKnows(world.lab, guest.id), { [host]: 'running' });
    assert.equal((await conmonsOf(guest.id)).length, 1);
  }

  test('a container is listed by its name, and checked without being touched', async () => {
    const { out } = await godwit(world, 'guests', '--json');
    for (const { guest } of guests.values()) assert.match(out, new RegExp(`"${guest}"`));
    const guest = box('crun');
    await unharmed(guest, 'a', async () => {
      const checked = await godwit(world, 'migrate', guest.guest, '--to', 'b', '--dry-run');
      assert.equal(checked.exit, 0, checked.out + checked.err);
      assert.match(checked.out, /its creation time becomes the time of the move/);
    });
  });

  for (const runtime of ['runc', 'crun']) {
    test(`a container moves to b and to a with ${runtime}, its record, its log and its files`, async (t) => {
      const guest = box(runtime);
      await exec(
        'a',
        guest,
        `
        fs.writeFileSync('/note', 'kept'); fs.writeFileSync('/dev/shm/note', 'kept too');
        fs.rmSync('/workload.ts'); fs.writeFileSync('/proc/1/fd/1', 'said at a\\n')`,
      );
      for (const [from, to] of [
        ['a', 'b'],
        ['b', 'a'],
      ] as const) {
        await unharmed(guest, to, async () => {
          const report = await move(world, { guest: guest.guest, from, to });
          t.diagnostic(`${from} to ${to}: stopped ${report.blackoutMs ?? 0} ms`);
        });
        const [shown] = JSON.parse(await podmanOn(world.lab, to, ['inspect', guest.name])) as [
          Record<string, unknown>,
        ];
        assert.partialDeepStrictEqual(shown, {
          Id: guest.id,
          OCIRuntime: runtime,
          Config: { Labels: { tier: 'web' } },
        });
        const script = `console.log(fs.readFileSync('/note', 'utf8'), fs.readFileSync('/dev/shm/note', 'utf8'), fs.existsSync('/workload.ts'));
          fs.writeFileSync('/proc/1/fd/1', 'said at ${to}\\n')`;
        assert.equal(await exec(to, guest, script), 'kept kept too false\n');
        const logs = await until('the log', 10_000, async () => {
          const text = await podmanOn(world.lab, to, ['logs', guest.name]);
          return text.includes(`said at ${to}`) && text.includes('said at a') ? text : undefined;
        });
        t.diagnostic(logs.trim().split('\n').join(', '));
      }
    });
  }

  test('a container keeps running at the source when it is cancelled while memory flows', async () => {
    const guest = box('crun');
    await unharmed(guest, 'a', async () => {
      const id = await begin(world, { guest: guest.guest, from: 'a', to: 'b', ...SLOW });
      await untilMemoryFlows(world, 'a', id);
      await world.agent('a').cancel({ params: { id } });
      assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
    });
  });

  /** Holds a call, kills something there, lets the call go on. */
  async function killedAt(
    runtime: string,
    call: string,
    killThen: (id: string, pid: number) => Promise<void>,
  ): Promise<void> {
    const guest = box(runtime);
    await unharmed(guest, 'a', async () => {
      await gates.close(call);
      const id = await begin(world, { guest: guest.guest, from: 'a', to: 'b' });
      const pid = await gates.reached(call);
      await killThen(id, pid);
      await gates.open(call);
      const report = await reportAtEnd(world, 'a', id);
      assert.equal(report.outcome, 'failed', JSON.stringify(report.error));
      assert.equal(report.runsAt, 'source');
    });
  }

  const CALLS = [
    ['podman packs the record', 'podman-checkpoint'],
    ['the runtime dumps', 'RUNTIME-checkpoint'],
    ['podman is called for the restore', 'podman-restore'],
    ['the stand-in waits', 'nft-delete'],
    ['the runtime restores', 'RUNTIME-restore'],
  ] as const;
  for (const [index, [when, call]] of CALLS.entries()) {
    const runtime = index % 2 === 0 ? 'runc' : 'crun';
    for (const side of ['a', 'b'] as const) {
      test(`a container keeps running at the source when the mover of ${side} is killed while ${when} (${runtime})`, () =>
        killedAt(runtime, call.replace('RUNTIME', runtime), (id) => killMover(world, side, id)));
    }
  }

  for (const call of ['podman-checkpoint', 'podman-restore', 'RUNTIME-restore'] as const) {
    test(`a container keeps running at the source when ${call.replace('RUNTIME', 'crun')} is killed`, () =>
      killedAt('crun', call.replace('RUNTIME', 'crun'), async (_id, pid) =>
        signalProcess(pid, 'SIGKILL'),
      ));
  }

  test('a container keeps running at the source when podman is killed while the stand-in waits', () =>
    killedAt('crun', 'nft-delete', async () => {
      const [pid = 0] = await podmansRestoring();
      signalProcess(pid, 'SIGKILL');
    }));

  test("a container keeps running at the source when the destination's conmon is killed during the restore", () =>
    killedAt('runc', 'runc-restore', async () => {
      const [, pid = 0] = (await conmonsOf(box('runc').id)).toSorted((one, other) => one - other);
      signalProcess(pid, 'SIGKILL');
    }));

  test("a container moves although the destination's agent is killed during the restore", async () => {
    const guest = box('runc');
    await unharmed(guest, 'b', async () => {
      await gates.close('runc-restore');
      const id = await begin(world, { guest: guest.guest, from: 'a', to: 'b' });
      await gates.reached('runc-restore');
      await stopAgent(world.lab, 'b', 'SIGKILL');
      await gates.open('runc-restore');
      await startAgent(world.lab, 'b');
      assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'done');
    });
  });

  test('a container is removed from the source once, although the mover is killed while podman removes it', async () => {
    const guest = box('runc');
    await unharmed(guest, 'a', async () => {
      await gates.close('podman-rm');
      const id = await begin(world, { guest: guest.guest, from: 'b', to: 'a' });
      await gates.reached('podman-rm');
      await killMover(world, 'b', id);
      await gates.open('podman-rm');
      assert.equal((await reportAtEnd(world, 'b', id)).outcome, 'done');
    });
  });

  test('a rehearsal leaves the container at the source, and nothing at the destination', async () => {
    const guest = box('crun');
    await unharmed(guest, 'a', async () => {
      const id = await begin(world, { guest: guest.guest, from: 'a', to: 'b', rehearse: true });
      const report = await reportAtEnd(world, 'a', id);
      assert.equal(report.error, undefined, JSON.stringify(report.error));
      assert.equal(report.runsAt, 'source');
    });
  });

  const often = { skip: RETURNS === 0 ? 'GODWIT_TEST_RETURNS says how often' : false } as const;
  test('a container moves many times in a row', often, async (t) => {
    const guest = box('runc');
    for (let index = 0; index < RETURNS; index += 1) {
      for (const [from, to] of [
        ['a', 'b'],
        ['b', 'a'],
      ] as const) {
        const began = performance.now();
        let stoppedMs = 0;
        await unharmed(guest, to, async () => {
          stoppedMs = (await move(world, { guest: guest.guest, from, to })).blackoutMs ?? 0;
        });
        const said = `said at ${to}, ${index}`;
        await exec(to, guest, `fs.writeFileSync('/proc/1/fd/1', '${said}\\n')`);
        await until('the line in the log', 10_000, async () =>
          (await podmanOn(world.lab, to, ['logs', guest.name])).includes(said) ? true : undefined,
        );
        const tookMs = Math.round(performance.now() - began);
        t.diagnostic(
          `${2 * index + (to === 'a' ? 2 : 1)}: stopped ${stoppedMs} ms of ${tookMs} ms`,
        );
      }
    }
  });

  test('a container is refused by name at a destination without its image, and with immovable parts', async () => {
    const options = ['--health-cmd', 'true', '-v', 'data:/data'];
    const size = { staticBytes: MIB, dirtyBytes: 0, dirtyBytesPerSecond: 0 };
    const held = await startPodman(world.lab, {
      name: 'held',
      host: 'a',
      runtime: 'crun',
      ...size,
      options,
    });
    const { hosts } = await world.agent('a').check({ body: { guest: held.guest, to: 'b' } });
    const said = (hosts[0]?.checks ?? [])
      .flatMap(({ error }) => (error === undefined ? [] : [`${error.message} ${error.hint}`]))
      .join('\n');
    assert.match(said, /health check.*--no-healthcheck/);
    assert.match(said, /the volume data of podman does not move yet/);
    await podmanOn(world.lab, 'a', ['rm', '-f', '-t', '0', held.name]);
    await podmanOn(world.lab, 'b', ['rmi', '-f', 'localhost/lab/workload:1']);
    const guest = box('crun');
    const error = await checkedRefusal(world, { guest: guest.guest, from: 'a', to: 'b' });
    assert.match(`${error?.message} ${error?.hint}`, /no image [0-9a-f]{12}.*podman save/);
  });

  test('a container is stopped and removed by podman after the moves', async () => {
    for (const { name } of guests.values()) {
      await podmanOn(world.lab, 'a', ['stop', '-t', '5', name]);
      await podmanOn(world.lab, 'a', ['rm', name]);
    }
    for (const { id } of guests.values()) assert.deepEqual(await podmanKnows(world.lab, id), {});
  });
});

/** podman's calls that restore; conmon has the words of one as well. */
async function podmansRestoring(): Promise<number[]> {
  return pids().filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words.includes('restore') && words.includes('--import');
    } catch {
      return false;
    }
  });
}
