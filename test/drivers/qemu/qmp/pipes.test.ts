import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, constants, mkdirSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  emptyPipes,
  makePipes,
  negotiatePipes,
  reopenPipes,
} from '../../../../src/drivers/qemu/qmp/pipes.ts';
import { hasCode } from '../../../../src/errors.ts';

const OWNER = { host: 'b', guest: 'web1', side: 'destination' } as const;
const HELLO =
  '{"QMP":{"version":{"qemu":{"major":10,"minor":0,"micro":2},"package":""},"capabilities":["oob"]}}\n';
const signal = new AbortController().signal;

/** The program's end of a monitor on pipes: it has both open, in both directions, as QEMU has. */
class Program {
  readonly asked: string[] = [];
  readonly #in: net.Socket;
  readonly #out: number;

  constructor(guestDir: string) {
    const open = (name: string): number =>
      openSync(path.join(guestDir, name), constants.O_RDWR | constants.O_NONBLOCK);
    this.#out = open('oob.out');
    this.#in = new net.Socket({ fd: open('oob.in'), readable: true, writable: false });
    this.#in.on('data', (chunk: Buffer) => this.#take(chunk.toString()));
    this.say(HELLO);
  }

  say(text: string): number {
    return writeSync(this.#out, text);
  }

  #take(text: string): void {
    for (const line of text.trim().split('\n')) {
      const command = JSON.parse(line) as Record<string, unknown>;
      const [verb = ''] = Object.keys(command);
      this.asked.push(`${verb} ${String(command[verb])}`);
      this.say(`${JSON.stringify({ return: {}, id: command['id'] })}\n`);
    }
  }

  async end(): Promise<void> {
    closeSync(this.#out);
    this.#in.destroy();
    await once(this.#in, 'close');
  }
}

describe('a monitor on pipes', () => {
  let guestsDir: string;
  let guestDir: string;
  let program: Program | undefined;

  beforeEach(async () => {
    guestsDir = await mkdtemp(path.join(os.tmpdir(), 'godwit-pipes-'));
    guestDir = path.join(guestsDir, 'web1');
    mkdirSync(guestDir);
    await makePipes(guestDir, signal);
  });
  afterEach(async () => {
    await program?.end();
    program = undefined;
    await rm(guestsDir, { recursive: true });
  });

  test('a monitor reports its pipes once, and accepts urgent commands from later callers', async () => {
    program = new Program(guestDir);
    await negotiatePipes(guestDir, OWNER, signal);
    program.say('{"event": "STOP", "data": {}}\n{"event": "RES');
    const later = await reopenPipes(guestDir, OWNER);
    program.say('UME", "data": {}}\n');
    assert.deepEqual(await later.urgent('migrate-pause', {}), { ok: true, value: {} });
    later.close();
    assert.deepEqual(program.asked, ['execute qmp_capabilities', 'exec-oob migrate-pause']);
  });

  test('a monitor is created again after an interrupted start', async () => {
    await makePipes(guestDir, signal);
    program = new Program(guestDir);
    await negotiatePipes(guestDir, OWNER, signal);
    assert.deepEqual(program.asked, ['execute qmp_capabilities']);
  });

  test('a monitor is lost at once if no process has it open, or if it does not exist', async () => {
    await assert.rejects(reopenPipes(guestDir, OWNER), (error) =>
      hasCode(error, 'GODWIT_MONITOR_UNREACHABLE'),
    );
    await assert.rejects(reopenPipes(guestsDir, OWNER));
  });

  test('the supervisor drains a monitor, so that the program need not keep its messages', async () => {
    program = new Program(guestDir);
    const event = `${JSON.stringify({ event: 'RTC_CHANGE', data: { offset: 1 } })}\n`;
    const fill = (): number => {
      let count = 0;
      try {
        for (;;) count += program?.say(event) ?? 0;
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
        return count;
      }
    };
    const room = fill();
    assert.ok(room > 0);
    assert.equal(fill(), 0);
    mkdirSync(path.join(guestsDir, 'web2'));
    await emptyPipes(guestsDir);
    assert.ok(fill() >= room);
    await emptyPipes(path.join(guestsDir, 'none'));
  });
});
