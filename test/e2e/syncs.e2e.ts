import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Monitor } from '../../lab/witness/monitor.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { labHost } from '../../lab/state.ts';
import { seenQemus } from '../../lab/witness/qemus.ts';
import { moverOf } from './support/movers.ts';
import { begin, reportAtEnd, unlessForbidden, untilMemoryFlows } from './support/moves.ts';
import { until } from '../until.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
/** Every way by which a program of Linux waits for a disk. */
const SYNCS = 'fsync,fdatasync,sync,syncfs,sync_file_range,msync';

/** A call that waits for a disk, by the clock of this machine, ms since 1970. */
interface Sync {
  readonly beganMs: number;
  readonly text: string;
}

describe('the blackout', () => {
  let world: World;
  let dir: string;

  before(async () => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'godwit-syncs-'));
    world = await openWorld('sync', { hosts: 2 });
    await startGuest(world.lab, {
      name: 'web1',
      host: 'a',
      memoryBytes: 192 * MIB,
      workingSetBytes: 16 * MIB,
      dirtyBytesPerSecond: 4 * MIB,
    });
  });
  after(async () => {
    await world?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  for (const mode of ['precopy', 'postcopy', 'hybrid'] as const) {
    test(`the blackout contains no disk sync by either mover: ${mode}`, async (t) => {
      const [from, to] = mode === 'postcopy' ? ['b', 'a'] : ['a', 'b'];
      const moved = await unlessForbidden(t, () => traced(from, to, mode));
      if (moved === undefined) return;
      const { syncs, stoppedMs, resumedMs } = moved;
      for (const [side, all] of Object.entries(syncs)) {
        // Else the trace has seen nothing, and what follows would prove nothing.
        assert.ok(all.length > 0, `the ${side}'s mover synced something after the trace began`);
        const inside = all.filter(({ beganMs }) => beganMs >= stoppedMs && beganMs <= resumedMs);
        assert.deepEqual(inside, [], `${side}, in a blackout of ${resumedMs - stoppedMs} ms`);
      }
    });
  }

  /** Moves the guest while strace watches both movers, and gives the blackout by the two QEMUs' own words. */
  async function traced(from: string, to: string, mode: 'precopy' | 'postcopy' | 'hybrid') {
    const signal = AbortSignal.timeout(120_000);
    const [source] = (await seenQemus(world.lab)).filter(({ host }) => host === from);
    const left = await Monitor.open(source?.monitors.at(-1) ?? '', signal);
    const socket = path.join(labHost(world.lab, to).stateDir, 'guests', 'web1', 'qmp-witness.sock');
    const tracers: Tracer[] = [];
    try {
      const id = await begin(world, { guest: 'web1', from, to, mode, maxBandwidth: 16 * MIB });
      await untilMemoryFlows(world, from, id);
      const right = await Monitor.open(socket, signal);
      try {
        tracers.push(await trace(from, id, 'source'), await trace(to, id, 'destination'));
        const report = await reportAtEnd(world, from, id);
        assert.equal(report.outcome, 'done', JSON.stringify(report.error));
        await Promise.all(tracers.map(({ ended }) => ended));
        const stoppedMs = left.events.find(({ event }) => event === 'STOP')?.atMs;
        const resumedMs = right.events.find(({ event }) => event === 'RESUME')?.atMs;
        assert.ok(stoppedMs !== undefined && resumedMs !== undefined && resumedMs > stoppedMs);
        const [here = [], there = []] = tracers.map(({ file }) => syncsIn(file));
        return { syncs: { source: here, destination: there }, stoppedMs, resumedMs };
      } finally {
        right.close();
      }
    } finally {
      left.close();
      for (const { child } of tracers) child.kill();
    }
  }

  interface Tracer {
    readonly child: ChildProcess;
    readonly file: string;
    /** When the mover has ended, and strace with it. */
    readonly ended: Promise<unknown>;
  }

  async function trace(host: string, id: string, side: string): Promise<Tracer> {
    const { pid } = moverOf(world, host, id);
    const file = path.join(dir, `${id}-${side}.strace`);
    const argv = ['-f', '-ttt', '-e', `trace=${SYNCS}`, '-o', file, '-p', String(pid)];
    const child = spawn('strace', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = once(child, 'exit');
    await until('strace to be attached', 15_000, async () => {
      if (child.exitCode !== null) throw new Error(`strace: ${said}`);
      return said.includes('attached') ? true : undefined;
    });
    return { child, file, ended };
  }
});

/** Lines such as `4711 1795174212.041337 fdatasync(23) = 0`; of an interrupted call the first line counts. */
function syncsIn(file: string): Sync[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((text) => {
      const call = /^\d+\s+(\d+\.\d+) \w+\(/.exec(text);
      return call === null ? [] : [{ beganMs: Number(call[1]) * 1000, text }];
    });
}
