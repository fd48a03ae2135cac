/** Clients of a controller's events, for bench/events: each has a connection of its own. Speaks to its parent over IPC. */
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import type { ClientsReported } from './events-messages.ts';

const [address = '', caFile = '', token = '', count = '0', reads = 'all'] = process.argv.slice(2);
const [host = '', port = ''] = address.split(':');
const secureContext = tls.createSecureContext({ ca: readFileSync(caFile) });
/** A browser opens no hundreds at once, and a listener bounds what strangers may. */
const AT_ONCE = 25;
const WAIT_MS = 30_000;

let [open, events, resets] = [0, 0, 0];
const sockets: tls.TLSSocket[] = [];

/** Resolves with its first event. One that reads nothing more stops there. */
async function follow(): Promise<void> {
  const socket = tls.connect({ host, port: Number(port), secureContext, servername: '' });
  sockets.push(socket);
  const first = Promise.withResolvers<void>();
  socket.on('error', (error) => first.reject(error));
  socket.on('close', () => {
    open -= 1;
    first.reject(new Error('a connection was closed before its first event'));
  });
  socket.setTimeout(WAIT_MS, () => socket.destroy(new Error('nothing came')));
  socket.setEncoding('latin1');
  let rest = '';
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    const had = events;
    events += lines.filter((line) => line.startsWith('data:')).length;
    resets += lines.filter((line) => line.startsWith('event: reset')).length;
    if (events === had) return;
    first.resolve();
    if (reads === 'none') {
      socket.setTimeout(0);
      socket.pause();
    }
  });
  socket.write(
    `GET /v1/events HTTP/1.1\r\nhost: ${address}\r\nauthorization: Bearer ${token}\r\n\r\n`,
  );
  open += 1;
  await first.promise;
}

for (let made = 0; made < Number(count); made += AT_ONCE) {
  const batch = Math.min(AT_ONCE, Number(count) - made);
  await Promise.all(Array.from({ length: batch }, follow));
}
process.on('message', () => {
  const said: ClientsReported = { open, events, resets };
  process.send?.(said);
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });
