import type { Generated, Kysely } from 'kysely';

/**
 * The controller's tables. Times are ms since 1970, by the database's clock if they end a lease; JSON is text; booleans
 * are 0 and 1. Rows of hosts and guests are written only on changes.
 */
export interface Tables {
  /** Product and schema version, one row. */
  readonly godwit_schema: { readonly product: string; version: number };
  /** `epoch`: the last one given to a lease. */
  counters: { name: string; value: number };

  controllers: { id: string; name: string; alive_until: number };
  /** The controller of each shard. The row stays after a release, so that epochs never repeat. */
  host_leases: { shard: number; owner: string; epoch: number; lease_until: number };
  hosts: HostRow;
  guests: GuestRow;
  /** Roll-ups of a shard's hosts for one minute or hour from `at`. */
  rollups: { shard: number; span: string; at: number; body: string };

  requests: {
    id: string;
    kind: string;
    subject: string;
    state: string;
    body: string;
    version: Generated<number>;
    cancel_asked: Generated<number>;
    priority: Generated<number>;
    created_at: number;
    created_by: string;
    due_at: number;
    ended_at: number | null;
  };
  claims: { request_id: string; owner: string; epoch: number; lease_until: number };
  /** Every reported migration, also those of other programs. */
  migrations: MigrationRow;
  moves: {
    id: string;
    request_id: string;
    guest: string;
    source: string;
    destination: string;
    attempt: number;
    state: string;
    asked_epoch: number;
    body: string;
    created_at: number;
    ended_at: number | null;
    outcome: string | null;
  };
  /** Memory that a destination reserves for a move; it outlives the controller that promised it. */
  reservations: {
    move_id: string;
    request_id: string;
    host: string;
    source: string;
    memory_bytes: number;
    created_at: number;
    /** When its move was settled; it still counts for older looks at the fleet. */
    given_back_at: number | null;
  };
  host_marks: {
    host: string;
    draining_for: string | null;
    draining_since: number | null;
    out_limit: number | null;
    in_limit: number | null;
    maintenance: string | null;
  };
  /** Ill hosts. `request`: the drain that the policy requested. */
  host_health: { host: string; began_at: number; words: string; request: string | null };
  /** Hosts that fall asleep, sleep or wake; all others are on. */
  host_power: { host: string; state: string; since: number };
  limits: { scope: string; name: string; most: number };

  /** Tokens of the web listener. `hash`: of the secret, which is not stored. */
  tokens: {
    name: string;
    hash: string;
    role: string;
    created_at: number;
    created_by: string;
    expires_at: number | null;
    used_at: number | null;
  };
  /** Browser sessions, begun with a token or by a person whom a provider named. */
  sessions: {
    hash: string;
    /** Identifies the token, whose name may be reused later. */
    token_hash: string | null;
    issuer: string | null;
    subject: string | null;
    name: string;
    role: string;
    created_at: number;
    expires_at: number;
  };

  /** vCenters and Hyper-V hosts. `secret`: the password, sealed by the key of that id outside of the database. */
  managers: {
    name: string;
    body: string;
    secret_key: string;
    secret: string;
    created_at: number;
    created_by: string;
  };

  /** Hosts that keep a guest's start data. `words`: why a host refuses; null: it keeps it. */
  standbys: {
    source: string;
    guest: string;
    destination: string;
    kept_at: number;
    words: string | null;
  };

  audit: AuditRow;

  policies: {
    kind: string;
    scope: string;
    mode: string;
    body: string;
    set_by: string;
    set_at: number;
    look: string | null;
    owner: string;
    epoch: number;
    lease_until: number;
    due_at: number;
  };
  /** `subject`: equal for proposals that count as alike. */
  proposals: {
    id: string;
    kind: string;
    scope: string;
    run: string;
    state: string;
    subject: string;
    body: string;
    created_at: number;
    /** No look changes it any more. */
    settled: number;
  };
}

/** `epoch`: of the lease under which it was written. */
export interface HostRow {
  name: string;
  address: string;
  site: string | null;
  shard: number;
  state: string;
  since: number;
  reason: string | null;
  version: string | null;
  cores: number | null;
  memory_bytes: number | null;
  memory_available_bytes: number | null;
  guests: number;
  /** JSON of the host's last report. */
  info: string | null;
  /** JSON of the manager's other facts; null: it has an agent. See inventory/managed-facts.ts. */
  managed: string | null;
  /** Exceeded limit and since when; null: none. */
  excess: string | null;
  excess_since: number | null;
  changed_at: number;
  epoch: number;
}

export interface GuestRow {
  host: string;
  /** The name and the UUID are the key on its host: two guests of one name are two rows. */
  name: string;
  uuid: string;
  state: string;
  memory_bytes: number | null;
  vcpus: number | null;
  driver: string;
  /** JSON of the host's last report. */
  info: string;
  changed_at: number;
  epoch: number;
}

export interface AuditRow {
  id: string;
  at: number;
  controller: string;
  who: string;
  role: string;
  by: string;
  from: string | null;
  what: string;
  route: string;
  arguments: string | null;
  result: string | null;
  unkept: number;
  rank: string;
  caller: string;
}

export interface MigrationRow {
  id: string;
  guest: string;
  source: string;
  destination: string;
  mode: string;
  /** The host whose agent reported it, and its side; the source's report is the best. */
  told_by: string;
  side: string;
  /** Null while it is open; the host's time, limited by the database's clock. */
  started_at: number;
  ended_at: number | null;
  outcome: string | null;
  /** Error code of a failed migration. */
  code: string | null;
  words: string | null;
  total_ms: number | null;
  downtime_ms: number | null;
  client_gap_ms: number | null;
  bytes: number | null;
  link_rate: number | null;
  dirty_rate: number | null;
  /** JSON, see migration/insight/figures.ts. */
  figures: string | null;
  /** Packed, see history/kept-report.ts. */
  report: string | null;
  /** Epoch of the lease under which it was written. */
  epoch: number;
}

export type Database = Kysely<Tables>;

export type StoreKind = 'sqlite' | 'postgres';
