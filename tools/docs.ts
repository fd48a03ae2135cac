/**
 * Writes the pages that are made from the code: the table of verbs and its shapes of JSON, the schemas of configurations,
 * the table of errors, the declarations of drivers, and the routes. `npm run docs`; a test holds the files to the result.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { controllerContract } from '../src/protocol/controller/contract.ts';
import { controllerDocument } from '../src/protocol/controller/openapi.ts';
import { cliPage } from './docs/cli.ts';
import { configurationPage } from './docs/configuration.ts';
import { driversPage } from './docs/drivers.ts';
import { errorsPage } from './docs/errors.ts';
import { jsonPage } from './docs/json.ts';
import { reportingPage } from './docs/reporting.ts';
import { addresses } from './addresses.ts';

const folder = path.resolve(import.meta.dirname, '..', 'docs');

/** Pages by file name. */
export async function pages(): Promise<Record<string, string>> {
  return {
    'cli.md': await cliPage(),
    'configuration.md': configurationPage(),
    'json.md': jsonPage(),
    'reporting.md': reportingPage(addresses()),
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
