import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium, type Browser, type Page } from 'playwright-core';

/** For a page whose context bypasses its policy. */
export const AXE = readFileSync(
  createRequire(import.meta.url).resolve('axe-core/axe.min.js'),
  'utf8',
);
const WIDTHS = [390, 900, 1400];

interface Finding {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** The system's Chromium. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
}

/** A page of a browser of its own, with axe-core in it; `errors` are what its scripts throw. */
export async function openPage(
  browser: Browser,
  waitMs: number,
): Promise<{ page: Page; errors: readonly string[] }> {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    // The page's policy refuses axe-core, as it refuses every other script from outside.
    bypassCSP: true,
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  page.setDefaultTimeout(waitMs);
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.addInitScript({ content: AXE });
  return { page, errors };
}

/** What axe-core finds on a page as it stands, light and dark, at each width. */
export async function findings(page: Page): Promise<string[]> {
  const found: string[] = [];
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      const { violations } = (await page.evaluate('axe.run()')) as { violations: Finding[] };
      for (const { id, nodes } of violations) {
        const [node] = nodes;
        found.push(`${colorScheme} ${width}: ${id}: ${node?.html} ${node?.failureSummary}`);
      }
    }
  }
  return found;
}

/** Pixels by which a page is wider than a phone: whoever reads it there would have to push it to and fro. */
export async function sidewaysPx(page: Page): Promise<number> {
  await page.setViewportSize({ width: 390, height: 900 });
  // Lists that are cut to what is seen are laid out anew a frame later.
  const fits = 'document.documentElement.scrollWidth <= innerWidth';
  await page.waitForFunction(fits).catch(() => undefined);
  return Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'));
}
