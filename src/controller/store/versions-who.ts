import { sql } from 'kysely';
import type { Database } from './tables.ts';

export async function whoMayWhat({ schema }: Pick<Database, 'schema'>): Promise<void> {
  await schema
    .createTable('tokens')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('hash', 'text', (c) => c.notNull().unique())
    .addColumn('role', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('created_by', 'text', (c) => c.notNull())
    .addColumn('expires_at', 'bigint')
    .addColumn('used_at', 'bigint')
    .execute();
  await schema
    .createTable('sessions')
    .addColumn('hash', 'text', (c) => c.primaryKey())
    .addColumn('token', 'text')
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('role', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .execute();
  await schema.createIndex('sessions_token').on('sessions').column('token').execute();
  await schema
    .createIndex('sessions_name')
    .on('sessions')
    .columns(['name', 'created_at'])
    .execute();
  await schema.createIndex('sessions_end').on('sessions').column('expires_at').execute();
}

/** Ends sessions of earlier builds that have only a person's name, which two people may share. */
export async function sessionSubjects(db: Database): Promise<void> {
  await sql`delete from sessions where token is null`.execute(db);
  await db.schema.alterTable('sessions').addColumn('issuer', 'text').execute();
  await db.schema.alterTable('sessions').addColumn('subject', 'text').execute();
  await db.schema
    .createIndex('sessions_subject')
    .on('sessions')
    .columns(['issuer', 'subject', 'created_at'])
    .execute();
}

/** Ends sessions of earlier builds that have only their token's name, which a later token may reuse. */
export async function sessionTokens(db: Database): Promise<void> {
  await db.deleteFrom('sessions').where('issuer', 'is', null).execute();
  await db.schema.dropIndex('sessions_token').execute();
  await db.schema.alterTable('sessions').dropColumn('token').execute();
  await db.schema.alterTable('sessions').addColumn('token_hash', 'text').execute();
  await db.schema.createIndex('sessions_token').on('sessions').column('token_hash').execute();
}
