/**
 * Runs in the lab's client namespace: holds one TCP connection to a guest's counter, sends a numbered
 * line every INTERVAL_MS without waiting for the answer, checks the answers and measures the time
 * between them. It answers `mark`, `read` and `stop` on a unix socket until it is stopped.
 * Usage: node probe-main.ts ADDRESS PORT INTERVAL_MS SOCKET
 */
import { chmodSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { setPriority } from 'node:os';
import { systemClock } from '../../src/clock.ts';
import { defined } from '../../src/protocol/defined.ts';
import { CounterCheck } from './counter-check.ts';
import { type ProbeAnswer, probeRequest } from './messages.ts';

const [address = '', port = '', intervalMs = '', socketPath = ''] = process.argv.slice(2);
const MAX_QUEUED_BYTES = 1024 * 1024;
const MAX_REQUEST_BYTES = 4096;

try {
  // A busy machine must not show as a gap of the guest's.
  setPriority(-15);
} catch {
  // Only root may; ownStallMs shows how much it mattered.
}

const check = new CounterCheck(systemClock.monotonicMs());
let connectedAtMs = 0;
let localPort = 0;
let reason: string | undefined;

const socket = connect({ host: address, port: Number(port), noDelay: true });
socket.on('connect', () => {
  connectedAtMs = systemClock.wallMs();
  localPort = socket.localPort ?? 0;
  check.mark(systemClock.monotonicMs());
  const timer = setInterval(() => {
    // A packet that was not sent is not counted: a guest that is dark for long must not fill this memory.
    if (socket.destroyed || socket.writableLength > MAX_QUEUED_BYTES) return;
    const line = check.next(systemClock.monotonicMs());
    if (line !== undefined) socket.write(line);
  }, Number(intervalMs));
  socket.on('close', () => clearInterval(timer));
  serve();
});
socket.setEncoding('latin1').on('data', (text: string) => {
  check.receive(text, systemClock.monotonicMs());
});
socket.on('error', (error) => {
  reason ??= error.message.slice(0, 400);
});
socket.on('close', () => {
  reason ??= 'the guest closed the connection';
  if (connectedAtMs === 0) {
    process.stderr.write(`${reason}\n`);
    process.exit(1);
  }
});

function answer(): ProbeAnswer {
  const reading = check.read(systemClock.monotonicMs(), systemClock.wallMs());
  const { gapAtMs, ...rest } = reading;
  return {
    localPort,
    connected: reason === undefined,
    connectedAtMs,
    ...rest,
    ...defined({ gapAtMs, reason }),
  };
}

function serve(): void {
  const server = createServer((peer) => {
    let text = '';
    peer.on('error', () => peer.destroy());
    peer.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_REQUEST_BYTES) peer.destroy();
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) obey(peer, line);
    });
  });
  server.listen(socketPath, () => chmodSync(socketPath, 0o600));
}

function obey(peer: Socket, line: string): void {
  let verb: string;
  try {
    ({ verb } = probeRequest.parse(JSON.parse(line)));
  } catch {
    peer.destroy();
    return;
  }
  const said = `${JSON.stringify(answer())}\n`;
  if (verb === 'mark') check.mark(systemClock.monotonicMs());
  if (verb === 'stop') peer.end(said, () => process.exit(0));
  else peer.write(said);
}
