/**
 * `npm run web:pictures [-- DIRECTORY] [PAGE...]`: each page of the dashboard with a made-up fleet, light and dark, at 390,
 * 900 and 1,400 px, as PNG files for a person to look at.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { buildWeb } from '../../tools/web.ts';
import { DONE_ID, GUEST, OPEN_ID, ROLL_ID, REQUEST_ID } from './sample-values.ts';
import { serveMadeUp } from './server.ts';

const WIDTHS = [390, 900, 1400];
/** Each page, and what is on it once it is there. */
const PAGES: Readonly<Record<string, readonly [path: string, there: string]>> = {
  fleet: ['/', '.card, .host-card, article, [role=list]'],
  migration: [`/migrations/${OPEN_ID}`, '.chart'],
  report: [`/migrations/${DONE_ID}`, '.chart'],
  migrations: ['/migrations', 'table'],
  drain: [`/requests/${REQUEST_ID}`, 'table'],
  roll: [`/requests/${ROLL_ID}`, '.facts'],
  requests: ['/requests', '.request'],
  compare: [`/requests/new?kind=migration&guest=${GUEST}`, 'text=Measure again'],
  host: ['/hosts/node-00001', '.chart'],
  guests: ['/guests', 'table'],
  guest: [`/guests/${GUEST}`, '.story'],
  insight: ['/insight', 'table'],
  proposals: ['/proposals', 'article'],
  audit: ['/audit', 'table'],
};
/** The migration that is shown live has come so far by then, ms. */
const LIVE_MS = 4500;

const [directory = 'out/pictures', ...only] = process.argv.slice(2);
const names = only.length === 0 ? Object.keys(PAGES) : only;
const pages = mkdtempSync(path.join(tmpdir(), 'godwit-pictures-'));
mkdirSync(directory, { recursive: true });
buildWeb(pages);
const served = await serveMadeUp(pages, { hosts: 24, guestsOfEach: 9 });
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
const looks = (['light', 'dark'] as const).flatMap((colorScheme) =>
  WIDTHS.map((width) => ({ colorScheme, width })),
);
try {
  for (const look of looks) await picture(look);
} finally {
  await browser.close();
  await served.close();
  rmSync(pages, { recursive: true, force: true });
}

async function picture(look: { colorScheme: 'light' | 'dark'; width: number }): Promise<void> {
  const { colorScheme, width } = look;
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
  const page = await context.newPage();
  page.on('pageerror', (error) => process.stderr.write(`${String(error)}\n`));
  for (const name of names) {
    const [at, there] = PAGES[name] ?? ['/', 'main'];
    await page.goto(`${served.url}${at}`);
    await page.locator(there).first().waitFor();
    if (name === 'migration') await page.waitForTimeout(LIVE_MS);
    if (name === 'compare') {
      await page.getByRole('button', { name: 'Choose hybrid' }).waitFor();
    }
    await page.evaluate('document.fonts.ready');
    const file = path.join(directory, `${name}-${width}-${colorScheme}.png`);
    await page.screenshot({ path: file, fullPage: true });
    process.stdout.write(`${file}\n`);
  }
  await context.close();
}
