/**
 * Runs in the lab's switch namespace: takes the Ethernet frames of each host's tap, lets them wait, and
 * writes them to the tap of the host that they are for.
 * Usage: node relay-main.ts DIR DELAY_MS DESCRIPTOR...  (of a tap each; DIR/ready when it carries frames)
 */
import { read, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { MAX_RELAYED_MTU } from '../plan.ts';
import { DelaySwitch } from './frames.ts';

const [dir = '', delayMs = '', ...descriptors] = process.argv.slice(2);
const MAX_WAITING_BYTES = 256 * 1024 * 1024;
/** With the addresses, the type and a VLAN tag. */
const MAX_FRAME_BYTES = MAX_RELAYED_MTU + 18;
/** Timers wake up to this much late: what is due within it goes out at once. */
const EARLY_MS = 0.5;

const delays = new DelaySwitch(descriptors, Number(delayMs), MAX_WAITING_BYTES);
let timer: NodeJS.Timeout | undefined;

function pump(): void {
  timer = undefined;
  for (const [descriptor, frames] of delays.release(systemClock.monotonicMs() + EARLY_MS)) {
    for (const frame of frames) writeSync(Number(descriptor), frame);
  }
  arm();
}

function arm(): void {
  const dueMs = delays.nextDueMs;
  if (timer !== undefined || dueMs === undefined) return;
  timer = setTimeout(pump, Math.max(0, Math.floor(dueMs - systemClock.monotonicMs())));
}

/** One read is one frame. */
function listen(descriptor: string): void {
  const buffer = Buffer.allocUnsafe(MAX_FRAME_BYTES);
  const next = (): void => {
    read(Number(descriptor), buffer, 0, buffer.length, null, (error, bytes) => {
      if (error) return end(error);
      delays.accept(descriptor, Buffer.from(buffer.subarray(0, bytes)), systemClock.monotonicMs());
      arm();
      next();
    });
  };
  next();
}

/** Not by exit, which would wait for the threads that wait for frames. */
function end(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.kill(process.pid, 'SIGKILL');
}

process.on('uncaughtException', end);
for (const descriptor of descriptors) listen(descriptor);
writeFileSync(path.join(dir, 'ready'), '');
