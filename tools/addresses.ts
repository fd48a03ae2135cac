/**
 * The project's public addresses. They stand in package.json alone: `repository.url`, `bugs.url`, and `security`, the mail
 * address or page for reports of vulnerabilities. Pages omit the link of an empty address. `node tools/addresses.ts` fails
 * while one is empty: a release needs all of them.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

const manifest = z.object({
  repository: z.object({ url: z.string() }),
  bugs: z.object({ url: z.string() }),
  security: z.string(),
});

export interface Addresses {
  readonly repository: string;
  readonly issues: string;
  readonly security: string;
}

export function addressesIn(text: string): Addresses {
  const { repository, bugs, security } = manifest.parse(JSON.parse(text));
  return { repository: repository.url, issues: bugs.url, security };
}

export const addresses = (): Addresses =>
  addressesIn(readFileSync(path.resolve(import.meta.dirname, '../package.json'), 'utf8'));

/** The settings of package.json that are empty. */
export function missingAddresses({ repository, issues, security }: Addresses): string[] {
  const named = { 'repository.url': repository, 'bugs.url': issues, security };
  return Object.entries(named).flatMap(([name, value]) => (value === '' ? [name] : []));
}

if (import.meta.main) {
  const missing = missingAddresses(addresses());
  if (missing.length > 0) {
    console.error(`package.json has no ${missing.join(', no ')}: set them before a release`);
    process.exit(1);
  }
}
