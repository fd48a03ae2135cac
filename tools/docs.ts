/**
 * Writes docs/cli.md and docs/errors.md from the table of verbs and the table of errors:
 * `npm run docs`. A test holds the files to what this makes.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { cliPage } from './docs/cli.ts';
import { errorsPage } from './docs/errors.ts';

const folder = path.resolve(import.meta.dirname, '..', 'docs');

/** Pages by file name. */
export async function pages(): Promise<Record<string, string>> {
  return { 'cli.md': await cliPage(), 'errors.md': errorsPage() };
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(await pages())) {
    writeFileSync(path.join(folder, name), text);
  }
}
