import type { Generated, Kysely } from 'kysely';

/**
 * The controller's tables. Times are ms since 1970, by the database's clock where they end a lease; what is JSON is text;
 * truth values are 0 and 1. Rows of a host or a guest are written only when something about them changed.
 */
export interface Tables {
  /** What this database is, in one row. */
  readonly godwit_schema: { readonly product: string; version: number };
  /** `epoch`: the number that the last acquisition of any lease took. */
  counters: { name: string; value: number };

  /** The controllers that share this database. */
  controllers: { id: string; name: string; alive_until: number };
  /** Who follows the hosts of a shard. The row stays after a release, so that an epoch never comes twice. */
  host_leases: { shard: number; owner: string; epoch: number; lease_until: number };
  hosts: HostRow;
  guests: GuestRow;
  /** Roll-ups of all hosts of a shard, for one minute or one hour from `at`. */
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
  /** Every migration that a host reported, whoever asked for it. */
  migrations: MigrationRow;
  /** Migrations that requests asked for. */
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
  /** Memory that a destination keeps for a move; it outlives the controller that promised it. */
  reservations: {
    move_id: string;
    request_id: string;
    host: string;
    source: string;
    memory_bytes: number;
    created_at: number;
    /** When its move was settled: it counts still for who looked at the fleet before. */
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
  /** Hosts that are ill. `request`: the drain that the policy asked for. */
  host_health: { host: string; began_at: number; words: string; request: string | null };
  /** Hosts that fall asleep, sleep or wake; all others are on. */
  host_power: { host: string; state: string; since: number };
  limits: { scope: string; name: string; most: number };

  /** Who may what at the web listener. `hash`: of the secret, which is kept nowhere. */
  tokens: {
    name: string;
    hash: string;
    role: string;
    created_at: number;
    created_by: string;
    expires_at: number | null;
    used_at: number | null;
  };
  /** Of people's browsers. It began either with a token, or with a person whom a provider named. */
  sessions: {
    hash: string;
    /** Of the token itself: its name may have another token later. */
    token_hash: string | null;
    issuer: string | null;
    subject: string | null;
    name: string;
    role: string;
    created_at: number;
    expires_at: number;
  };

  /** vCenters and Hyper-V hosts. `secret`: the password, sealed by the key of that id, which lies outside of the database. */
  managers: {
    name: string;
    body: string;
    secret_key: string;
    secret: string;
    created_at: number;
    created_by: string;
  };

  /** Hosts that keep the data to start a guest once its host is dead. `words`: why a host does not; null: it does. */
  standbys: {
    source: string;
    guest: string;
    destination: string;
    kept_at: number;
    words: string | null;
  };

  audit: AuditRow;

  /** Standing policies, and who looks for each of them now. */
  policies: {
    kind: string;
    scope: string;
    mode: string;
    body: string;
    set_by: string;
    set_at: number;
    /** What it saw when it looked last. */
    look: string | null;
    owner: string;
    epoch: number;
    lease_until: number;
    due_at: number;
  };
  /** `subject`: what two proposals have in common that are the like of each other. */
  proposals: {
    id: string;
    kind: string;
    scope: string;
    run: string;
    state: string;
    subject: string;
    body: string;
    created_at: number;
    /** It needs no more looks: nothing of its body changes any more. */
    settled: number;
  };
}

/** `epoch`: of the lease under which it was written. */
export interface HostRow {
  name: string;
  address: string;
  site: string | null;
  shard: number;
  /** See protocol/controller/host.ts. */
  state: string;
  /** Since when it is in that state. */
  since: number;
  reason: string | null;
  version: string | null;
  cores: number | null;
  memory_bytes: number | null;
  memory_available_bytes: number | null;
  guests: number;
  /** JSON of the host's last report. */
  info: string | null;
  /** JSON of the manager's other facts about it; null: it has an agent. See inventory/managed-facts.ts. */
  managed: string | null;
  /** In which respect it sends more than its share, and since when; null: it does not. */
  excess: string | null;
  excess_since: number | null;
  changed_at: number;
  epoch: number;
}

export interface GuestRow {
  host: string;
  /** With the uuid the guest's name on its host: two guests of one name are two rows. */
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

/** A change that was asked for, see protocol/controller/audit.ts. */
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
  /** The share on which it counts, see audit/retention.ts. */
  rank: string;
  caller: string;
}

export interface MigrationRow {
  id: string;
  guest: string;
  source: string;
  destination: string;
  mode: string;
  /** The host whose agent reported it, and which side that was: the source knows most. */
  told_by: string;
  side: string;
  /** Null while it is open; what its host says, within what the database's clock allows. */
  started_at: number;
  ended_at: number | null;
  outcome: string | null;
  /** Why it did not come to its end. */
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
  /** Of the lease under which it was written. */
  epoch: number;
}

export type Database = Kysely<Tables>;

export type StoreKind = 'sqlite' | 'postgres';
