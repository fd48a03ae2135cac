import { sql } from 'kysely';
import type { Database } from './tables.ts';

/** Renames the wishes of earlier builds to requests: tables, columns, and the JSON of their rows. */
export async function requestNames(db: Database): Promise<void> {
  const { schema } = db;
  await schema.alterTable('wishes').renameTo('requests').execute();
  for (const table of ['claims', 'moves', 'reservations']) {
    await schema.alterTable(table).renameColumn('wish_id', 'request_id').execute();
  }
  await schema.alterTable('host_health').renameColumn('wish', 'request').execute();
  await indexes(db);
  // Quotation marks inside JSON strings are escaped, so only keys and whole values match.
  await sql`update requests set body = replace(body, '"wish-limit"', '"request-limit"')`.execute(
    db,
  );
  await sql`update moves set body = replace(body, '"wish":"', '"request":"')`.execute(db);
  await sql`update proposals set body = replace(body, '"wishes":[', '"requests":[')`.execute(db);
}

async function indexes({ schema }: Pick<Database, 'schema'>): Promise<void> {
  for (const name of ['wishes_due', 'wishes_subject', 'wishes_open', 'moves_wish']) {
    await schema.dropIndex(name).execute();
  }
  await schema.createIndex('requests_due').on('requests').columns(['ended_at', 'due_at']).execute();
  await schema
    .createIndex('requests_subject')
    .on('requests')
    .columns(['subject', 'ended_at'])
    .execute();
  // A host has one open drain.
  await schema
    .createIndex('requests_open')
    .unique()
    .on('requests')
    .columns(['kind', 'subject'])
    .where(sql.ref('ended_at'), 'is', null)
    .execute();
  await schema.createIndex('moves_request').on('moves').column('request_id').execute();
}
