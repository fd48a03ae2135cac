import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { z } from 'zod';
import { systemClock } from '../../src/clock.ts';
import { removeTree } from '../../src/system/files/remove-tree.ts';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { labRunc } from '../../lab/container/launch.ts';
import { layerDirectory } from '../../lab/container/layer.ts';
import { runcRoot } from '../../lab/container/places.ts';
import { startContainer } from '../../lab/container/start.ts';
import { signalProcess } from '../../lab/processes.ts';
import { labHost } from '../../lab/state.ts';
import { cgroupsOf, containerRunsOn } from '../../lab/witness/containers.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
import { bringContainers } from '../drivers/criu/bring.ts';
import { GPU_MIB, makeGpuPlace, turnsIn, type GpuPlace } from '../drivers/criu/gpu-place.ts';
import { until } from '../until.ts';
import { godwit } from './support/cli.ts';
import { keepsConnection, untilNoneLeft } from './support/containers.ts';
import { begin, reportAtEnd } from './support/moves.ts';
import { killMover } from './support/movers.ts';
import { openWorld, type World } from './support/world.ts';

const BOX = `gpu-${process.pid}`;
const MIB = 1024 ** 2;
/** Long enough to be killed in the middle, with the stand-in. */
const COPY_MS = 700;
/** As long as a lock waits, and what comes before it. */
const LOCKED_MS = 120_000;
const MOVE_MS = 300_000;
const skip = process.getuid?.() === 0 ? false : 'CRIU and runc need root';

const recordFile = z.object({
  gpu: z.object({ helper: z.object({ pid: z.number() }).optional() }).optional(),
  init: z.object({ pid: z.number() }).optional(),
});
type Host = 'a' | 'b';
const other = (host: Host): Host => (host === 'a' ? 'b' : 'a');

describe('a container that works on a GPU, moved by two agents', { skip }, () => {
  let directory: string;
  let place: GpuPlace;
  let world: World;
  let at: Host = 'a';

  before(async () => {
    await bringContainers();
    directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-gpu-lab-'));
    process.env['FAKE_CUDA_COPY_MS'] = String(COPY_MS);
    place = await makeGpuPlace(directory, GPU_MIB);
    const { program, binds, section } = place.differs;
    const layerDirs = [layerDirectory(), path.join(directory, 'layers')];
    const configure = () => ({ drivers: { criu: { ...section, layerDirs } } });
    world = await openWorld('gpubox', { hosts: 2, containers: true, configure });
    const none = { staticBytes: MIB, dirtyBytes: 0, dirtyBytesPerSecond: 0 };
    const base = { name: BOX, host: 'a', ...none, program };
    await startContainer(world.lab, { ...base, ...(binds === undefined ? {} : { binds }) });
    await untilItWorks();
    await saysWhoWorks();
  });
  after(async () => {
    await world?.close();
    place?.restore();
    delete process.env['FAKE_CUDA_COPY_MS'];
    await removeTree(directory);
    assert.deepEqual(await cgroupsOf(BOX), []);
  });

  const stateDir = (host: Host): string => labHost(world.lab, host).stateDir;
  async function pidOf(host: Host): Promise<number> {
    const state = await labRunc(runcRoot(stateDir(host)), ['state', BOX]);
    return z.object({ pid: z.number() }).parse(JSON.parse(state)).pid;
  }
  /** To the stand-in for the driver, which does not see it. */
  async function saysWhoWorks(): Promise<void> {
    await place.says(`${await pidOf(at)}, GPU-a0a0a0a0-a0a0-a0a0-a0a0-a0a0a0a0a0a0, ${GPU_MIB}\n`);
  }
  /** Its log on that host, where it was started or where it was brought. */
  function logOn(host: Host): string {
    const brought = path.join(stateDir(host), 'containers', BOX, 'upper/log');
    return existsSync(brought) ? brought : path.join(stateDir(host), 'boxes', BOX, 'upper/log');
  }
  async function recordOn(host: Host): Promise<z.infer<typeof recordFile>> {
    const file = path.join(stateDir(host), 'containers', BOX, 'record.json');
    const text = await readFile(file, 'utf8').catch(() => '{}');
    return recordFile.parse(JSON.parse(text === '' ? '{}' : text));
  }

  /** At exactly one host, where it says more turns than before: each of them once, and always the same sum. */
  async function untilItWorks(): Promise<void> {
    if (world !== undefined && (await containerRunsOn(world.lab, BOX)).length > 0)
      assert.deepEqual(await containerRunsOn(world.lab, BOX), [at]);
    const from = (await turnsIn(logOn(at))).turns.length;
    await until(`more turns on ${at}`, LOCKED_MS, async () =>
      (await turnsIn(logOn(at))).turns.length > from + 2 ? true : undefined,
    );
    assert.deepEqual(await containerRunsOn(world.lab, BOX), [at]);
    const { turns, sums } = await turnsIn(logOn(at));
    assert.equal(sums.size, 1, `what is on the GPU changed: ${[...sums].join()}`);
    const expected = [...turns.keys()].map((index) => index + 1);
    assert.deepEqual(turns, expected, 'each turn once');
  }

  /** The longest time between two turns since `from`, ms. */
  async function stoodSince(from: number): Promise<number> {
    const { atMs } = await turnsIn(logOn(at));
    const since = atMs.filter((each) => each >= from);
    return Math.max(0, ...since.slice(1).map((each, index) => each - (since[index] ?? each)));
  }

  async function lastReport(host: Host): Promise<Report> {
    const { migrations } = await world.agent(host).migrations();
    return world.agent(host).report({ params: { id: migrations[0]?.id ?? '' } });
  }

  const phasesOf = ({ phases }: Report): string =>
    phases.map(({ phase, ms }) => `${phase} ${(ms / 1000).toFixed(1)}`).join(', ');

  /** Moves it by the command with a client; what was said, measured and reported is printed. */
  async function byCommand(t: TestContext, words: readonly string[], end: Host): Promise<Report> {
    const [from, begun] = [at, Date.now()];
    let report: Report | undefined;
    const view = await keepsConnection(world, BOX, async () => {
      const start = systemClock.monotonicMs();
      const { exit, out, err } = await godwit(world, ...words);
      assert.equal(exit, 0, out + err);
      t.diagnostic(`${words.join(' ')} took ${Math.round(systemClock.monotonicMs() - start)} ms`);
      report = await lastReport(from);
      at = end;
      await untilItWorks();
      await saysWhoWorks();
    });
    assert.ok(report !== undefined);
    t.diagnostic(
      `client gap ${Math.round(view.clientGapMs)} ms, GPU stood still ${await stoodSince(begun)} ms, stopped ${Math.round(report.blackoutMs ?? report.rehearsal?.stoodStillMs ?? 0)} ms, total ${report.totalMs} ms, ${((report.bytes ?? 0) / MIB).toFixed(0)} MiB`,
    );
    t.diagnostic(phasesOf(report));
    return report;
  }

  test('a container is checked and planned without being touched', async (t) => {
    const { exit, out, err } = await godwit(world, 'migrate', BOX, '--to', 'b', '--dry-run');
    assert.equal(exit, 0, out + err);
    t.diagnostic(out);
    assert.match(out, /on GPUs: their work stops for about \d+ s/);
    await untilItWorks();
    await untilNoneLeft(world, 'b');
  });

  test('a container is rehearsed, and continues its work at its host', async (t) => {
    const words = ['migrate', BOX, '--to', 'b', '--rehearse'];
    const report = await byCommand(t, words, 'a');
    assert.equal(report.outcome, 'rehearsed');
    assert.equal(report.rehearsal?.expectedDowntimeMs, undefined);
    assert.ok((report.rehearsal?.stoodStillMs ?? 0) > 0);
    await untilNoneLeft(world, 'b');
  });

  test('a container moves and returns with its connection, and each turn is there once', async (t) => {
    const memory: number[] = [];
    for (const to of ['b', 'a'] as const) {
      const from = at;
      const report = await byCommand(t, ['migrate', BOX, '--to', to], to);
      assert.equal(report.runsAt, 'destination');
      memory.push(report.memoryBytes ?? 0);
      const said = await godwit(world, 'report', report.id);
      assert.equal(said.exit, 0, said.err);
      t.diagnostic(said.out);
      await untilNoneLeft(world, from);
    }
    const [there = 0, back = 0] = memory;
    assert.ok(there > GPU_MIB * MIB, 'what it has on the GPU comes as memory');
    assert.ok(back < 1.2 * there, `it needs more each time that it moves: ${memory.join()}`);
  });

  /** Begins a move, does harm at a moment of it, and sees it work at exactly one host afterwards. */
  async function harmed(
    t: TestContext,
    when: (from: Host, to: Host) => Promise<unknown>,
    harm: (id: string, from: Host, to: Host) => Promise<unknown>,
  ): Promise<Report> {
    const [from, to] = [at, other(at)];
    let report: Report | undefined;
    await keepsConnection(world, BOX, async () => {
      const id = await begin(world, { guest: BOX, from, to });
      await when(from, to);
      await harm(id, from, to);
      report = await reportAtEnd(world, from, id, MOVE_MS);
      at = report.runsAt === 'destination' ? to : from;
      await untilItWorks();
      await saysWhoWorks();
    });
    assert.ok(report !== undefined);
    t.diagnostic(
      `${report.outcome}, runs at the ${report.runsAt}: ${report.error?.message ?? 'no error'}`,
    );
    t.diagnostic(phasesOf(report));
    await until(`nothing left of the state in memory`, 30_000, async () =>
      (await recordOn(at)).gpu === undefined ? true : undefined,
    );
    await untilNoneLeft(world, other(at));
    return report;
  }
  const takesAway = (from: Host): Promise<unknown> =>
    until('its state to be taken away', LOCKED_MS, async () => (await recordOn(from)).gpu?.helper);
  const givesBack = (_from: Host, to: Host): Promise<unknown> =>
    until('its state to be given back', MOVE_MS, async () => (await recordOn(to)).gpu?.helper);
  async function killHelper(host: Host): Promise<void> {
    const pid = (await recordOn(host)).gpu?.helper?.pid;
    assert.ok(pid !== undefined);
    signalProcess(pid, 'SIGKILL');
  }

  test("a container continues at one host when its source's mover is killed while its state is taken away", async (t) => {
    const report = await harmed(t, takesAway, (id, from) => killMover(world, from, id));
    assert.equal(report.runsAt, 'source');
  });

  test("a container continues at its source when the destination's mover is killed while its state is taken away", async (t) => {
    const report = await harmed(t, takesAway, (id, _from, to) => killMover(world, to, id));
    assert.equal(report.runsAt, 'source');
  });

  test("a container continues at one host when its source's helper is killed while its state is taken away", async (t) => {
    await harmed(t, takesAway, (_id, from) => killHelper(from));
  });

  test("a container arrives when the destination's mover is killed while its state is restored", async (t) => {
    const report = await harmed(t, givesBack, (id, _from, to) => killMover(world, to, id));
    assert.equal(report.runsAt, 'destination');
  });

  test("a container arrives when the destination's helper is killed while its state is restored", async (t) => {
    const report = await harmed(t, givesBack, (_id, _from, to) => killHelper(to));
    assert.equal(report.runsAt, 'destination');
  });

  test('a container arrives when both agents are killed while its state is taken away', async (t) => {
    const report = await harmed(t, takesAway, async () => {
      for (const host of ['a', 'b']) {
        await stopAgent(world.lab, host, 'SIGKILL');
        await startAgent(world.lab, host);
      }
    });
    assert.equal(report.runsAt, 'destination');
  });

  test('a container continues at its source if its GPU is busy for longer than a lock waits', async (t) => {
    signalProcess(await pidOf(at), 'SIGUSR1');
    const before = (await turnsIn(logOn(at))).turns.length;
    const report = await harmed(
      t,
      async () => undefined,
      async () => undefined,
    );
    assert.equal(report.outcome, 'failed');
    assert.equal(report.runsAt, 'source');
    assert.match(report.error?.message ?? '', /CUDA_ERROR_NOT_READY/);
    assert.ok((await turnsIn(logOn(at))).turns.length > before);
  });

  test('a container moves after all that', async (t) => {
    const to = other(at);
    await byCommand(t, ['migrate', BOX, '--to', to], to);
  });
});
