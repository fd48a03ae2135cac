/**
 * Runs in the lab's switch namespace: QEMU carries the Ethernet frames of each host's tap over a unix
 * socket to here, where they wait, and back to the tap of the host that they are for.
 * Usage: node relay-main.ts DIR DELAY_MS HOST...  (one socket DIR/HOST.sock each; DIR/ready when all are joined)
 */
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { systemClock } from '../../clock.ts';
import { DelaySwitch, FrameReader } from './frames.ts';

const [dir = '', delayMs = '', ...hosts] = process.argv.slice(2);
const MAX_WAITING_BYTES = 256 * 1024 * 1024;
/** Timers wake up to this much late: what is due within it goes out at once. */
const EARLY_MS = 0.5;

const ports = new Map<string, Socket>();
const delays = new DelaySwitch(hosts, Number(delayMs), MAX_WAITING_BYTES);
let timer: NodeJS.Timeout | undefined;

function pump(): void {
  timer = undefined;
  for (const [host, frames] of delays.release(systemClock.monotonicMs() + EARLY_MS)) {
    const port = ports.get(host);
    if (port === undefined) continue;
    port.cork();
    for (const frame of frames) port.write(frame);
    port.uncork();
  }
  arm();
}

function arm(): void {
  const dueMs = delays.nextDueMs;
  if (timer !== undefined || dueMs === undefined) return;
  timer = setTimeout(pump, Math.max(0, Math.floor(dueMs - systemClock.monotonicMs())));
}

for (const host of hosts) {
  const reader = new FrameReader();
  createServer((socket) => {
    ports.set(host, socket);
    if (ports.size === hosts.length) writeFileSync(path.join(dir, 'ready'), '');
    socket.on('data', (chunk: Buffer) => {
      const nowMs = systemClock.monotonicMs();
      for (const frame of reader.take(chunk)) delays.accept(host, frame, nowMs);
      arm();
    });
    socket.on('error', () => socket.destroy());
    // Without its QEMU the relay has nothing to do.
    socket.on('close', () => process.exit(0));
  }).listen(path.join(dir, `${host}.sock`));
}
writeFileSync(path.join(dir, 'listening'), '');
