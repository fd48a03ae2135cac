/**
 * Writes docs/cli.md, docs/errors.md, docs/drivers/README.md and docs/openapi-controller.json from the table of verbs, of
 * errors, of what drivers declare, and of routes:
 * `npm run docs`. A test holds the files to what this makes.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { controllerContract } from '../src/protocol/controller/contract.ts';
import { controllerDocument } from '../src/protocol/controller/openapi.ts';
import { cliPage } from './docs/cli.ts';
import { driversPage } from './docs/drivers.ts';
import { errorsPage } from './docs/errors.ts';

const folder = path.resolve(import.meta.dirname, '..', 'docs');

/** Pages by file name. */
export async function pages(): Promise<Record<string, string>> {
  return {
    'cli.md': await cliPage(),
    'drivers/README.md': await driversPage(),
    'errors.md': errorsPage(),
    'openapi-controller.json': documentText(controllerDocument(controllerContract)),
  };
}

/** A path and a schema a line: a change of one is seen as one. */
function documentText(document: Record<string, unknown>): string {
  return JSON.stringify(document)
    .replaceAll(/(?<=[{,])(?="(?:\/[^"]*|[A-Z][\w.]*)":\{)/g, '\n')
    .concat('\n');
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(await pages())) {
    writeFileSync(path.join(folder, name), text);
  }
}
