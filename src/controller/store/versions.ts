import { sql } from 'kysely';
import { audit, auditShares } from './audit.ts';
import type { Database, StoreKind } from './tables.ts';
import { migrations, migrationsByReporter } from './versions-history.ts';
import { requestNames } from './versions-requests.ts';
import { sessionSubjects, sessionTokens, whoMayWhat } from './versions-who.ts';

async function standbys({ schema }: Database): Promise<void> {
  await schema
    .createTable('standbys')
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('guest', 'text', (c) => c.notNull())
    .addColumn('destination', 'text', (c) => c.notNull())
    .addColumn('kept_at', 'bigint', (c) => c.notNull())
    .addColumn('words', 'text')
    .addPrimaryKeyConstraint('standbys_key', ['source', 'guest', 'destination'])
    .execute();
}

async function hostPower({ schema }: Database): Promise<void> {
  await schema
    .createTable('host_power')
    .addColumn('host', 'text', (c) => c.primaryKey())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('since', 'bigint', (c) => c.notNull())
    .execute();
}

async function hostHealth({ schema }: Database): Promise<void> {
  await schema
    .createTable('host_health')
    .addColumn('host', 'text', (c) => c.primaryKey())
    .addColumn('began_at', 'bigint', (c) => c.notNull())
    .addColumn('words', 'text', (c) => c.notNull())
    .addColumn('wish', 'text')
    .execute();
}

/**
 * Schema migrations in order; the first creates the schema. A released version never changes; new ones are appended.
 */
export const VERSIONS: readonly ((db: Database, kind: StoreKind) => Promise<void>)[] = [
  async (db) => {
    await inventory(db);
    await wishes(db);
  },
  whoMayWhat,
  policies,
  migrations,
  sites,
  hostHealth,
  managers,
  audit,
  hostPower,
  standbys,
  managedHosts,
  promisesGivenBack,
  hostExcess,
  auditShares,
  sessionSubjects,
  migrationsByReporter,
  sessionTokens,
  requestNames,
];

async function managedHosts({ schema }: Database): Promise<void> {
  await schema.alterTable('hosts').addColumn('managed', 'text').execute();
}

/** Releases of settled moves' reservations, until all controllers have looked at the fleet since. */
async function promisesGivenBack({ schema }: Database): Promise<void> {
  await schema.alterTable('reservations').addColumn('given_back_at', 'bigint').execute();
}

async function hostExcess({ schema }: Database): Promise<void> {
  await schema.alterTable('hosts').addColumn('excess', 'text').execute();
  await schema.alterTable('hosts').addColumn('excess_since', 'bigint').execute();
}

async function managers({ schema }: Database): Promise<void> {
  await schema
    .createTable('managers')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('body', 'text', (c) => c.notNull())
    .addColumn('secret_key', 'text', (c) => c.notNull())
    .addColumn('secret', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('created_by', 'text', (c) => c.notNull())
    .execute();
}

async function sites({ schema }: Database): Promise<void> {
  await schema.alterTable('hosts').addColumn('site', 'text').execute();
}

/** Both policies of the fleet start in a mode that only proposes. */
async function policies(db: Database): Promise<void> {
  await db.schema
    .createTable('policies')
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('scope', 'text', (c) => c.notNull())
    .addColumn('mode', 'text', (c) => c.notNull())
    .addColumn('body', 'text', (c) => c.notNull())
    .addColumn('set_by', 'text', (c) => c.notNull())
    .addColumn('set_at', 'bigint', (c) => c.notNull())
    .addColumn('look', 'text')
    .addColumn('owner', 'text', (c) => c.notNull())
    .addColumn('epoch', 'bigint', (c) => c.notNull())
    .addColumn('lease_until', 'bigint', (c) => c.notNull())
    .addColumn('due_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('policies_key', ['kind', 'scope'])
    .execute();
  await db.schema
    .createTable('proposals')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('scope', 'text', (c) => c.notNull())
    .addColumn('run', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('body', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('settled', 'integer', (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex('proposals_of')
    .on('proposals')
    .columns(['kind', 'scope', 'settled'])
    .execute();
  await db.schema.createIndex('proposals_age').on('proposals').columns(['created_at']).execute();
  const body = JSON.stringify({ mode: 'propose' });
  const idle = { look: null, owner: '', epoch: 0, lease_until: 0, due_at: 0 };
  const set = { scope: 'fleet', mode: 'propose', body, set_by: 'the default', set_at: 0 };
  await db
    .insertInto('policies')
    .values(['balance', 'consolidate'].map((kind) => ({ kind, ...set, ...idle })))
    .execute();
}

async function inventory(db: Database): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('counters')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', 'bigint', (c) => c.notNull())
    .execute();
  const counters = ['epoch', 'admission'].map((name) => ({ name, value: 0 }));
  await db.insertInto('counters').values(counters).execute();
  await schema
    .createTable('controllers')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('alive_until', 'bigint', (c) => c.notNull())
    .execute();
  await schema
    .createTable('host_leases')
    .addColumn('shard', 'integer', (c) => c.primaryKey())
    .addColumn('owner', 'text', (c) => c.notNull())
    .addColumn('epoch', 'bigint', (c) => c.notNull())
    .addColumn('lease_until', 'bigint', (c) => c.notNull())
    .execute();
  await schema
    .createTable('hosts')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('address', 'text', (c) => c.notNull())
    .addColumn('shard', 'integer', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('since', 'bigint', (c) => c.notNull())
    .addColumn('reason', 'text')
    .addColumn('version', 'text')
    .addColumn('cores', 'integer')
    .addColumn('memory_bytes', 'bigint')
    .addColumn('memory_available_bytes', 'bigint')
    .addColumn('guests', 'integer', (c) => c.notNull())
    .addColumn('info', 'text')
    .addColumn('changed_at', 'bigint', (c) => c.notNull())
    .addColumn('epoch', 'bigint', (c) => c.notNull())
    .execute();
  await schema
    .createTable('guests')
    .addColumn('host', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('uuid', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('memory_bytes', 'bigint')
    .addColumn('vcpus', 'integer')
    .addColumn('driver', 'text', (c) => c.notNull())
    .addColumn('info', 'text', (c) => c.notNull())
    .addColumn('changed_at', 'bigint', (c) => c.notNull())
    .addColumn('epoch', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('guests_key', ['host', 'name', 'uuid'])
    .execute();
  await schema
    .createTable('rollups')
    .addColumn('shard', 'integer', (c) => c.notNull())
    .addColumn('span', 'text', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('body', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('rollups_key', ['shard', 'span', 'at'])
    .execute();
  await schema.createIndex('hosts_shard').on('hosts').column('shard').execute();
  await schema.createIndex('guests_uuid').on('guests').column('uuid').execute();
  await schema.createIndex('guests_name').on('guests').column('name').execute();
  await schema.createIndex('rollups_age').on('rollups').columns(['span', 'at']).execute();
}

async function wishes({ schema }: Pick<Database, 'schema'>): Promise<void> {
  await schema
    .createTable('wishes')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('body', 'text', (c) => c.notNull())
    .addColumn('version', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('cancel_asked', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('priority', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('created_by', 'text', (c) => c.notNull())
    .addColumn('due_at', 'bigint', (c) => c.notNull())
    .addColumn('ended_at', 'bigint')
    .execute();
  await schema
    .createTable('claims')
    .addColumn('wish_id', 'text', (c) => c.primaryKey())
    .addColumn('owner', 'text', (c) => c.notNull())
    .addColumn('epoch', 'bigint', (c) => c.notNull())
    .addColumn('lease_until', 'bigint', (c) => c.notNull())
    .execute();
  await moves({ schema });
  await schema
    .createTable('host_marks')
    .addColumn('host', 'text', (c) => c.primaryKey())
    .addColumn('draining_for', 'text')
    .addColumn('draining_since', 'bigint')
    .addColumn('out_limit', 'integer')
    .addColumn('in_limit', 'integer')
    .addColumn('maintenance', 'text')
    .execute();
  await schema
    .createTable('guest_labels')
    .addColumn('guest', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('value', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('guest_labels_key', ['guest', 'name'])
    .execute();
  await schema
    .createTable('limits')
    .addColumn('scope', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('most', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('limits_key', ['scope', 'name'])
    .execute();
  await schema.createIndex('wishes_due').on('wishes').columns(['ended_at', 'due_at']).execute();
  await schema
    .createIndex('wishes_subject')
    .on('wishes')
    .columns(['subject', 'ended_at'])
    .execute();
  // A host has one open drain.
  await schema
    .createIndex('wishes_open')
    .unique()
    .on('wishes')
    .columns(['kind', 'subject'])
    .where(sql.ref('ended_at'), 'is', null)
    .execute();
}

async function moves({ schema }: Pick<Database, 'schema'>): Promise<void> {
  await schema
    .createTable('moves')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('wish_id', 'text', (c) => c.notNull())
    .addColumn('guest', 'text', (c) => c.notNull())
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('destination', 'text', (c) => c.notNull())
    .addColumn('attempt', 'integer', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('asked_epoch', 'bigint', (c) => c.notNull())
    .addColumn('body', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('ended_at', 'bigint')
    .addColumn('outcome', 'text')
    .addColumn('report', 'text')
    .execute();
  await schema
    .createTable('reservations')
    .addColumn('move_id', 'text', (c) => c.primaryKey())
    .addColumn('wish_id', 'text', (c) => c.notNull())
    .addColumn('host', 'text', (c) => c.notNull())
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('memory_bytes', 'bigint', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute();
  await schema.createIndex('moves_wish').on('moves').column('wish_id').execute();
  await schema.createIndex('moves_ended').on('moves').column('ended_at').execute();
  await schema.createIndex('moves_guest').on('moves').columns(['guest', 'created_at']).execute();
  await schema.createIndex('reservations_host').on('reservations').column('host').execute();
}
