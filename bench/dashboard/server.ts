import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { dashboardPages, Files } from '../../src/controller/web/files.ts';
import { SECURITY_HEADERS } from '../../src/controller/web/headers.ts';
import type { Overview } from '../../src/protocol/controller/overview.ts';
import { answerTo, overviewOf } from './answers.ts';
import { newsAt, STEPS } from './migrations.ts';

const STALL_MS = 30_000;
/** Between two steps of the migration that is shown live, ms. */
const STEP_MS = 60;
const HEARTBEAT_MS = 5000;

export interface MadeUpFleet {
  readonly hosts: number;
  readonly guestsOfEach: number;
  /** Of guests that stop and go on; default: none. */
  readonly eventsPerS?: number;
  /** Default: one that is free. */
  readonly port?: number;
}

export interface MadeUp {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves the dashboard that is built in `pages`, as a controller does, and a made-up fleet: what the page costs is measured,
 * not what a controller does.
 */
export async function serveMadeUp(
  pages: string,
  { hosts, guestsOfEach, eventsPerS = 0, port = 0 }: MadeUpFleet,
): Promise<MadeUp> {
  const files = new Files(dashboardPages(pages));
  const overview = overviewOf(hosts, guestsOfEach);
  const zipped = gzipSync(JSON.stringify(overview));
  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    if (!pathname.startsWith('/v1/')) return void files.answer(request, response, STALL_MS);
    if (pathname === '/v1/events') {
      const everyMs = eventsPerS === 0 ? STEP_MS : 1000 / eventsPerS;
      return streamed(response, fleetNewsOf(overview, eventsPerS > 0), everyMs);
    }
    if (pathname.endsWith('/progress')) return streamed(response, stepsOfMigration(), STEP_MS);
    if (pathname === '/v1/overview') return send(request, response, zipped);
    const found = answerTo(pathname, overview, request.method, searchParams);
    if (found !== undefined) return send(request, response, gzipSync(JSON.stringify(found)));
    response.writeHead(404, { 'content-type': 'application/problem+json' });
    response.end(
      JSON.stringify({ code: 'GODWIT_ROUTE_UNKNOWN', detail: `nothing at ${pathname}` }),
    );
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function send(_request: IncomingMessage, response: ServerResponse, zipped: Buffer): void {
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-encoding': 'gzip',
    'cache-control': 'no-store',
  });
  response.end(zipped);
}

function* stepsOfMigration(): Generator<{ readonly id: string; readonly type: string }> {
  for (let step = 0; step < STEPS; step += 1) yield* newsAt(step);
}

interface MadeUpNews {
  readonly id: string;
  readonly type: string;
  readonly guest?: object;
}

/** That the stream begins; of a lively fleet then guests that stop and go on, without end. */
function* fleetNewsOf({ hosts, guests }: Overview, isLively: boolean): Generator<MadeUpNews> {
  yield { id: '0', type: 'ready' };
  for (let nth = 1; isLively; nth += 1) {
    const [name, host] = guests[(nth * 7919) % guests.length] ?? ['', 0];
    const state = nth % 2 === 0 ? 'running' : 'paused';
    const guest = { name, host: hosts[host]?.[0], driver: 'qemu', state, memoryBytes: 2 ** 30 };
    yield { id: String(nth), type: 'guest', guest };
  }
}

/** Server-sent events, one each `everyMs`, and then heartbeats alone. */
function streamed(
  response: ServerResponse,
  news: Iterable<{ readonly id: string; readonly type: string }>,
  everyMs: number,
): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const rest = news[Symbol.iterator]();
  let beat: NodeJS.Timeout | undefined;
  const step = setInterval(() => {
    const next = rest.next();
    if (next.done !== true) {
      const { id, type } = next.value;
      return void response.write(
        `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(next.value)}\n\n`,
      );
    }
    clearInterval(step);
    beat = setInterval(() => response.write(': alive\n\n'), HEARTBEAT_MS);
  }, everyMs);
  response.on('close', () => {
    clearInterval(step);
    clearInterval(beat);
  });
}
