import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Clock } from '../clock.ts';
import { ERRORS } from '../errors.ts';
import type { FleetNews } from '../protocol/controller/events.ts';
import type { FleetMigration } from '../protocol/controller/history.ts';
import type { Watch } from '../rpc/watch.ts';
import { CostlyAnswers } from './api/costly.ts';
import type { ControllerConfig } from './config.ts';
import type { OwnFacts } from './health/own-problems.ts';
import { withPower } from './power/shown.ts';
import type { Store } from './store/store.ts';
import { guestCounts } from './inventory/each-guest.ts';
import { powerNow } from './store/power-rows.ts';

const DURATIONS = [1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600, 14_400];
const STANDSTILLS = [0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 60];
const REQUESTS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const MS = 1000;

export interface MetricsDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly power?: ControllerConfig['power'];
  readonly own?: { readonly facts: OwnFacts };
}

/**
 * Metrics for Prometheus. Only the controller that stored a migration's end counts it, so that sums over all
 * controllers are right; counters start at 0 with the process. Values from the database are the same at all
 * controllers.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #store: Store;
  readonly #settings: MetricsDependencies['power'];
  readonly #reads: CostlyAnswers<string>;
  readonly #migrations;
  readonly #failures;
  readonly #bytes;
  readonly #total;
  readonly #downtime;
  readonly #gap;
  readonly #requests;
  readonly #streams;
  readonly #hosts;
  readonly #drained;
  readonly #excessive;
  readonly #guests;
  readonly #open;
  readonly #openRequests;
  readonly #auditDropped;
  readonly #own: MetricsDependencies['own'];
  readonly #gauges;

  constructor({ store, clock, power, own }: MetricsDependencies) {
    this.#store = store;
    this.#own = own;
    this.#settings = power;
    this.#reads = new CostlyAnswers('the metrics', clock);
    const registers = [this.#registry];
    const way = ['mode'] as const;
    this.#migrations = new Counter({
      name: 'godwit_migrations_total',
      help: 'Migrations that ended, by how.',
      labelNames: ['outcome', 'mode'] as const,
      registers,
    });
    this.#failures = new Counter({
      name: 'godwit_migration_failures_total',
      help: 'Migrations that did not come to their end, by the code of their error.',
      labelNames: ['code'] as const,
      registers,
    });
    this.#bytes = new Counter({
      name: 'godwit_migration_sent_bytes_total',
      help: 'Memory that migrations sent over links.',
      labelNames: way,
      registers,
    });
    this.#auditDropped = new Counter({
      name: 'godwit_audit_dropped_total',
      help: 'Refused attempts that are not in the audit log, because too many came at once.',
      registers,
    });
    const histogram = (name: string, help: string, buckets: number[]) =>
      new Histogram({ name, help, labelNames: way, buckets, registers });
    this.#total = histogram(
      'godwit_migration_duration_seconds',
      'How long migrations that were done took, the wait for their moment left out.',
      DURATIONS,
    );
    this.#downtime = histogram(
      'godwit_migration_downtime_seconds',
      'How long guests were paused, as the hypervisor says.',
      STANDSTILLS,
    );
    this.#gap = histogram(
      'godwit_migration_client_gap_seconds',
      'The longest time without an answer that a watching host saw.',
      STANDSTILLS,
    );
    this.#requests = new Histogram({
      name: 'godwit_api_request_duration_seconds',
      help: 'Requests of the API, streams left out.',
      labelNames: ['operation', 'status'] as const,
      buckets: REQUESTS,
      registers,
    });
    const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
      new Gauge({ name, help, labelNames: [...labelNames], registers });
    this.#streams = gauge('godwit_api_streams', 'Streams of the API that are open.', ['operation']);
    this.#hosts = gauge('godwit_hosts', 'Hosts of the fleet, by state.', ['state']);
    this.#drained = gauge('godwit_hosts_drained', 'Hosts that no guest may come to.', []);
    this.#excessive = gauge(
      'godwit_hosts_over_limit',
      'Hosts whose agents send more than a controller takes from one host.',
      [],
    );
    this.#guests = gauge('godwit_guests', 'Guests of the fleet, by state.', ['state']);
    this.#open = gauge('godwit_migrations_open', 'Migrations that go on.', []);
    this.#gauges = ownGauges(registers);
    this.#openRequests = gauge('godwit_requests_open', 'Open requests, by kind.', ['kind']);
  }

  heard(news: FleetNews): void {
    if (news.type === 'migration' && news.what === 'ended') this.#ended(news.migration);
  }

  auditDropped(): void {
    this.#auditDropped.inc();
  }

  /** Called when a request begins; returns a function for its end. */
  readonly watch: Watch = (operation, isStream) => {
    if (isStream) {
      this.#streams.inc({ operation });
      return () => this.#streams.dec({ operation });
    }
    const from = performance.now();
    return (status) =>
      this.#requests.observe({ operation, status }, (performance.now() - from) / MS);
  };

  /** Prometheus text format. GODWIT_STORE if the database does not answer. */
  async text(): Promise<string> {
    return this.#reads.of('', async () => {
      await this.#look();
      if (this.#own !== undefined) showOwn(this.#gauges, this.#own.facts);
      return this.#registry.metrics();
    });
  }

  #ended({ outcome, mode, code, ...figures }: FleetMigration): void {
    if (outcome === undefined) return;
    this.#migrations.inc({ outcome, mode });
    // Comes from a host: an unknown code must not add a series.
    if (code !== undefined)
      this.#failures.inc({ code: Object.hasOwn(ERRORS, code) ? code : 'other' });
    const { bytes, totalMs, downtimeMs, clientGapMs } = figures;
    // A held migration ends again when an operator has decided.
    if (bytes !== undefined && outcome !== 'held') this.#bytes.inc({ mode }, bytes);
    if (outcome !== 'done') return;
    if (totalMs !== undefined) this.#total.observe({ mode }, totalMs / MS);
    if (downtimeMs !== undefined) this.#downtime.observe({ mode }, downtimeMs / MS);
    if (clientGapMs !== undefined) this.#gap.observe({ mode }, clientGapMs / MS);
  }

  async #look(): Promise<void> {
    const { db } = this.#store;
    const count = db.fn.countAll<number>().as('count');
    const hosts = await db
      .selectFrom('hosts')
      .where('name', 'not in', db.selectFrom('host_power').select('host'))
      .select(['state', count])
      .groupBy('state')
      .execute();
    // Sleeping hosts are silent as well, without a reason for an alarm.
    const power = await powerNow(this.#store, this.#settings);
    const sleepers = await db
      .selectFrom('hosts')
      .where('name', 'in', db.selectFrom('host_power').select('host'))
      .select(['name', 'state', 'since', 'reason'])
      .execute();
    const guests = await guestCounts(this.#store);
    const drained = db.selectFrom('host_marks').where('draining_for', 'is not', null);
    const open = db.selectFrom('migrations').where('ended_at', 'is', null);
    const requests = await db
      .selectFrom('requests')
      .where('ended_at', 'is', null)
      .select(['kind', count])
      .groupBy('kind')
      .execute();
    const excessive = db.selectFrom('hosts').where('excess', 'is not', null);
    const [closed, over, going] = [
      await drained.select(count).executeTakeFirst(),
      await excessive.select(count).executeTakeFirst(),
      await open.select(count).executeTakeFirst(),
    ];
    for (const each of [this.#hosts, this.#guests, this.#openRequests]) each.reset();
    for (const { state, count } of hosts) this.#hosts.set({ state }, Number(count));
    for (const each of sleepers)
      this.#hosts.inc({ state: withPower(each.name, each, power).state });
    for (const [state, count] of guests) this.#guests.set({ state }, count);
    for (const { kind, count } of requests) this.#openRequests.set({ kind }, Number(count));
    this.#drained.set(Number(closed?.count ?? 0));
    this.#excessive.set(Number(over?.count ?? 0));
    this.#open.set(Number(going?.count ?? 0));
  }
}

function ownGauges(registers: Registry[]) {
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Gauge({ name, help, labelNames: [...labelNames], registers });
  return {
    free: gauge('godwit_controller_disk_free_bytes', 'Room on the disks of this controller.', [
      'directory',
    ]),
    total: gauge('godwit_controller_disk_bytes', 'Size of the disks of this controller.', [
      'directory',
    ]),
    database: gauge(
      'godwit_controller_database_seconds',
      'How long the database took for one answer, at the last look.',
      [],
    ),
    certificate: gauge(
      'godwit_controller_certificate_expiry_timestamp_seconds',
      'When the certificate of this controller expires.',
      [],
    ),
    list: gauge(
      'godwit_fleet_list_expiry_timestamp_seconds',
      'When the fleet list that this controller has expires.',
      [],
    ),
  };
}

function showOwn(
  { free, total, database, certificate, list }: ReturnType<typeof ownGauges>,
  facts: OwnFacts,
): void {
  for (const each of [free, total]) each.reset();
  for (const { directory, freeBytes, totalBytes } of facts.disks) {
    free.set({ directory }, freeBytes);
    total.set({ directory }, totalBytes);
  }
  const took =
    facts.database === undefined || 'problem' in facts.database ? undefined : facts.database.tookMs;
  const until =
    facts.list === undefined || 'problem' in facts.list ? undefined : facts.list.untilMs;
  put(database, took);
  put(certificate, facts.certificateUntilMs);
  put(list, until);
}

/** An unknown value has no sample; 0 would be a value. */
function put(gauge: Gauge, ms: number | undefined): void {
  if (ms === undefined) gauge.remove();
  else gauge.set(ms / MS);
}
