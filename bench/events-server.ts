/**
 * The listeners of a controller and its log of events, for bench/events: real TLS, tokens and limits, and news that the parent
 * asks for. Speaks to its parent over IPC.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import { GIB } from './dashboard/sample-values.ts';
import { overviewOf } from './dashboard/answers.ts';
import { SIGN_IN_ATTEMPTS, sessionHandlers } from '../src/controller/api/session.ts';
import { Audit } from '../src/controller/audit/audit.ts';
import { controllerConfig } from '../src/controller/config.ts';
import { openListeners, type ListenerDependencies } from '../src/controller/listeners.ts';
import { EVENTS_KEPT } from '../src/controller/inventory/inventory.ts';
import { openStore } from '../src/controller/store/open.ts';
import { Metrics } from '../src/controller/metrics.ts';
import { Recognition } from '../src/controller/who/recognition.ts';
import { Sessions } from '../src/controller/who/sessions.ts';
import { Tokens } from '../src/controller/who/tokens.ts';
import { systemClock } from '../src/clock.ts';
import { EventLog } from '../src/rpc/event-log.ts';
import { silentLog } from '../src/log.ts';
import type { FleetNews } from '../src/protocol/controller/events.ts';
import { Ready } from '../src/rpc/ready-answer.ts';
import { Refusals } from '../src/rpc/refusals.ts';
import { TokenBuckets } from '../src/token-buckets.ts';
import type { EventsOrder, EventsReported } from './events-messages.ts';

const [stateDir = '', webAddress = '', hosts = '0', pages] = process.argv.slice(2);
const config = controllerConfig.parse({
  name: 'control',
  address: '127.0.0.1:0',
  stateDir,
  web: { address: webAddress },
});
const pem = (name: string): string => readFileSync(`${stateDir}/pki/${name}`, 'utf8');
const store = await openStore({ sqlite: `${stateDir}/controller.db` }, silentLog);
const tokens = new Tokens(store);
const GUESTS_OF_EACH = 10;
const log = new EventLog<FleetNews>(EVENTS_KEPT);
const followers = new Set<TLSSocket>();
let mostHeldBytes = 0;

/** Counts who listens until its stream has released everything. */
async function* followed(
  socket: TLSSocket,
  events: ReturnType<typeof log.follow>,
): ReturnType<typeof log.follow> {
  followers.add(socket);
  try {
    yield* events;
  } finally {
    followers.delete(socket);
  }
}

type EventsCall = Parameters<ListenerDependencies['handlers']['events']>[0];
const { hosts: allHosts, guests: allGuests, ...rest } = overviewOf(Number(hosts), GUESTS_OF_EACH);
let first: 'up' | 'silent' = 'up';
const methods = { token: true } as const;
const sessions = new Sessions(store);
const { name, audit: policy } = config;
const audit = new Audit({ store, clock: systemClock, log: silentLog, policy, name });
const monotonicMs = (): number => systemClock.monotonicMs();
const recognition = new Recognition(monotonicMs, async () => []);
const attempts = new TokenBuckets(SIGN_IN_ATTEMPTS, monotonicMs);
const signingIn = { tokens, sessions, recognition, audit, methods, attempts, log: silentLog };
const handlers = {
  ...sessionHandlers(signingIn),
  live: () => ({ ok: true }),
  requests: () => ({ requests: [] }),
  overview: () => {
    const [[host, , ...figures] = [], ...others] = allHosts;
    return new Ready({ ...rest, hosts: [[host, first, ...figures], ...others], guests: allGuests });
  },
  events: ({ request, lastEventId, signal }: EventsCall) =>
    followed(request.socket as TLSSocket, log.follow(lastEventId, signal)),
} as unknown as ListenerDependencies['handlers'];

const listeners = await openListeners({
  config,
  credentials: { ca: pem('ca.crt'), cert: pem('controller.crt'), key: pem('controller.key') },
  handlers,
  managers: {} as unknown as ListenerDependencies['managers'],
  agents: { at: () => undefined },
  store,
  methods,
  pages,
  metrics: new Metrics({ store, clock: systemClock }),
  audit,
  recognition,
  provider: undefined,
  clock: systemClock,
  tokens,
  sessions,
  listening: { log: silentLog, refusals: new Refusals(systemClock) },
  log: silentLog,
});

function socketsOpen(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      // The one by which the list was read.
      return false;
    }
  }).length;
}

let reported = 0;
/** A guest that stops or goes on. */
function reportGuest(): void {
  const [guest, at] = allGuests[(reported * 7919) % allGuests.length] ?? ['', 0];
  const state = reported % 2 === 0 ? 'paused' : 'running';
  const host = allHosts[at]?.[0] ?? '';
  const more = { driver: 'qemu', memoryBytes: GIB, nics: [], devices: [], unmovable: [] };
  log.add({ type: 'guest', guest: { name: guest, host, state, ...more } });
}

function reportFirst(state: 'up' | 'silent'): void {
  first = state;
  const since = new Date().toISOString();
  const host = { name: allHosts[0]?.[0] ?? '', address: '10.0.0.1:7443', state, since, guests: 0 };
  log.add({ type: 'host', host });
}

/** News of about that size, as of a host that changes. */
function report(bytes: number): void {
  reported += 1;
  if (bytes === 0) return reportGuest();
  const name = `host-${reported % 1000}`;
  const host = {
    name,
    address: '10.0.0.1:7443',
    state: 'silent' as const,
    since: '2026-11-23T09:00:00Z',
    reason: 'x'.repeat(bytes),
    guests: reported,
  };
  log.add({ type: 'host', host });
  for (const socket of followers) mostHeldBytes = Math.max(mostHeldBytes, socket.writableLength);
}

let reporting: NodeJS.Timeout | undefined;
process.on('message', (order: EventsOrder) => {
  clearInterval(reporting);
  if (order.perS > 0) {
    const each = Math.max(1, Math.round(order.perS / 50));
    reporting = setInterval(() => {
      for (let nth = 0; nth < each; nth += 1) report(order.bytes);
    }, 20);
  }
  if (order.mark !== undefined) reportFirst(order.mark);
  const { rss } = process.memoryUsage();
  const said: EventsReported = {
    atMs: Date.now(),
    reported,
    followers: followers.size,
    sockets: socketsOpen(),
    mostHeldBytes,
    rss,
  };
  process.send?.(said);
});
process.on('disconnect', () => process.exit(0));
const { token } = await tokens.create({ name: 'bench', role: 'viewer', by: 'bench' });
process.send?.({ ready: true, address: listeners.web, token });
