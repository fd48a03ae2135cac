import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { HypervisorStatus } from '../../../../src/port/direct.ts';
import type { QemuHandle } from '../../../../src/drivers/qemu/handle.ts';
import {
  ENDED,
  isAbandoned,
  isSettled,
  runAgain,
} from '../../../../src/drivers/qemu/process/stuck.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { fakeMonitor, Refusal, type Answerer } from '../fake-monitor.ts';

const UNFINISHED = new Refusal('Migration is not finalized yet');
const soon = (): AbortSignal => AbortSignal.timeout(20_000);

test('a guest is settled if it is gone, has left, or runs with no stream that could still move it', () => {
  const runs = fc.constantFrom('running', 'paused', 'gone', 'handed-over', 'incoming');
  const streams = fc.constantFrom(
    ...ENDED,
    'setup',
    'active',
    'device',
    'postcopy-active',
    'postcopy-paused',
    'postcopy-recovering',
  );
  fc.assert(
    fc.property(runs, streams, (run, stream) => {
      const isOver = ENDED.has(stream) || stream === 'postcopy-paused';
      const expected = run === 'gone' || run === 'handed-over' || (run === 'running' && isOver);
      assert.equal(isSettled({ run, stream } as HypervisorStatus), expected);
    }),
  );
});

test('a migration is abandoned if nothing of it is left to cancel', async () => {
  const disk = { type: 'block-node', 'node-name': 'vda' };
  const of = (...instances: object[]) => isAbandoned(fakeMonitor(() => instances).client, soon());
  assert.equal(await of(), true);
  assert.equal(await of(disk), true);
  assert.equal(await of(disk, { type: 'migration' }), false);
});

/** A guest of which `cont` is refused, whose QEMU has a debugger; `answerer` answers before it does. */
function unfinished(t: TestContext, answerer: Answerer = () => undefined) {
  const directory = tempDir(t);
  const socket = path.join(directory, 'godwit-resume.sock');
  const debugged: string[] = [];
  const lines: string[] = [];
  let server: net.Server | undefined;
  t.after(() => server?.close());
  const debug = async (line: string): Promise<void> => {
    lines.push(line.replace(directory, ''));
    if (!line.startsWith('gdbserver unix:')) return;
    server = net.createServer((client) =>
      client.once('data', (chunk) => {
        debugged.push(chunk.toString());
        client.write('+$OK#9a');
      }),
    );
    await new Promise<void>((resolve) => server?.listen(socket, resolve));
  };
  const { client, said } = fakeMonitor(async (command, args) => {
    const own = await answerer(command, args);
    if (own !== undefined) return own;
    if (command === 'cont') return UNFINISHED;
    if (command === 'query-status') return { running: true, status: 'running', singlestep: false };
    if (command === 'human-monitor-command') await debug(String(args['command-line']));
    return undefined;
  });
  const guest: unknown = { monitor: path.join(directory, 'qmp.sock'), pid: process.pid };
  const run = (): Promise<void> => runAgain(client, guest as QemuHandle, soon());
  return { run, said, lines, debugged, socket, directory };
}

describe('resuming a guest', () => {
  test('a guest needs no more than the order if no migration is under way', async (t) => {
    const { run, said } = unfinished(t, (command) => (command === 'cont' ? {} : undefined));
    await run();
    assert.deepEqual(said, ['cont']);
  });

  test('a guest is left as it is if QEMU refuses for another reason', async (t) => {
    const refuse = (command: string) =>
      command === 'cont' ? new Refusal('a device is not ready') : undefined;
    const { run, said } = unfinished(t, refuse);
    await assert.rejects(run(), /a device is not ready/);
    assert.deepEqual(said, ['cont']);
  });

  test('a guest gets its disks first, and is then resumed by the debugger, which leaves nothing', async (t) => {
    const { run, said, lines, debugged, socket } = unfinished(t);
    await run();
    assert.deepEqual(said, [
      'cont',
      'blockdev-set-active',
      'human-monitor-command',
      'query-status',
      'human-monitor-command',
    ]);
    assert.deepEqual(lines, [
      'gdbserver unix:/godwit-resume.sock,server=on,wait=off',
      'gdbserver none',
    ]);
    assert.deepEqual(debugged, ['$D#44']);
    assert.ok(!existsSync(socket));
  });

  test('a guest that does not run is not reported as running, and the debugger is closed all the same', async (t) => {
    const stays = (command: string) =>
      command === 'query-status'
        ? { running: false, status: 'paused', singlestep: false }
        : undefined;
    const { run, lines, socket } = unfinished(t, stays);
    await assert.rejects(run(), /the guest did not go on/);
    assert.equal(lines.at(-1), 'gdbserver none');
    assert.ok(!existsSync(socket));
  });

  test('a guest does not run without its disks: a write to a given-up disk would end its QEMU', async (t) => {
    const refuse = (command: string) =>
      command === 'blockdev-set-active' ? new Refusal('Failed to get "write" lock') : undefined;
    const { run, lines } = unfinished(t, refuse);
    await assert.rejects(run(), /Failed to get "write" lock/);
    assert.deepEqual(lines, []);
  });

  describe('under a QEMU before 10.0', () => {
    const old = (answerer: Answerer): Answerer => {
      const drives = ['vda', 'vdb'].map((node) => ({
        device: '',
        inserted: { 'node-name': node, file: node, ro: false, drv: 'raw' },
      }));
      return (command, args) => {
        if (command === 'blockdev-set-active')
          return new Refusal('The command blockdev-set-active has not been found');
        if (command === 'query-block') return [...drives, { device: 'cd0' }];
        return answerer(command, args);
      };
    };

    test('each disk gets an export that is gone before the next one is created', async (t) => {
      const steps: string[] = [];
      let looks = 0;
      const { run, said } = unfinished(
        t,
        old((command, args) => {
          if (command === 'block-export-add') steps.push(`add ${String(args['node-name'])}`);
          if (command === 'block-export-del') steps.push('del');
          if (command !== 'query-block-exports') return undefined;
          looks += 1;
          // Gone at every second look.
          const left = looks % 2 === 1;
          steps.push(left ? 'still there' : 'gone');
          return left ? [{ id: 'godwit-taken' }] : [];
        }),
      );
      await run();
      const each = (node: string) => [`add ${node}`, 'del', 'still there', 'gone'];
      assert.deepEqual(steps, [...each('vda'), ...each('vdb')]);
      assert.ok(said.includes('nbd-server-stop'));
    });

    test('a guest does not run if one of its disks cannot be had, and no export stays', async (t) => {
      const refuse: Answerer = (command) =>
        command === 'block-export-add' ? new Refusal('it is in use') : undefined;
      const { run, said, lines } = unfinished(t, old(refuse));
      await assert.rejects(run(), /it is in use/);
      assert.equal(said.at(-1), 'nbd-server-stop');
      assert.deepEqual(lines, []);
    });
  });
});
