import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium, type Browser, type CDPSession, type Page } from 'playwright-core';
import { buildWeb } from '../tools/web.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { serveMadeUp, type MadeUp } from './dashboard/server.ts';

const SETUP = path.resolve(import.meta.dirname, '../tools/setup.sh');
const HOSTS = 10_000;
const GUESTS_OF_EACH = 10;
/** What happens in the fleet while the page is scrolled. */
const EVENTS_PER_S = 20;
const DEFAULT_RUNS = 5;
const WAIT_MS = 60_000;
/** Turns of the wheel, px each. */
const TURNS = 80;
const TURN_PX = 400;
/** With that turn the page asks for the whole fleet again, as it does each 10 s. */
const LOOK_AT = 20;

/** The page of a large fleet in Chromium, as a person opens it and scrolls; its API is made up. */
export const dashboard: Bench = {
  name: 'dashboard',
  summary: 'the fleet page with 10,000 hosts and 100,000 guests: first paint, scrolling, bytes',
  run: async (options) => {
    execFileSync('bash', [SETUP, '--only', 'chromium'], { stdio: ['ignore', 2, 2] });
    const pages = mkdtempSync(path.join(tmpdir(), 'godwit-dashboard-'));
    const ended: (() => Promise<void>)[] = [];
    try {
      buildWeb(pages);
      const served = await serveMadeUp(pages, {
        hosts: HOSTS,
        guestsOfEach: GUESTS_OF_EACH,
        eventsPerS: EVENTS_PER_S,
      });
      ended.push(() => served.close());
      const browser = await chromium.launch({
        executablePath: '/usr/bin/chromium',
        args: ['--no-sandbox'],
      });
      ended.push(() => browser.close());
      return await measure(browser, served, options);
    } finally {
      for (const end of ended.toReversed()) await end();
      rmSync(pages, { recursive: true, force: true });
    }
  },
};

interface PageTimings {
  readonly paintMs: number;
  readonly applicationBytes: number;
  readonly fleetBytes: number;
  readonly cards: ScrollTimings;
  readonly table: ScrollTimings;
}

interface ScrollTimings {
  /** How long each frame took, ms: what else the machine does shows in it. */
  readonly frames: readonly number[];
  /** Script, style and layout of one turn of the wheel, ms. */
  readonly workMs: number;
}

async function measure(
  browser: Browser,
  served: MadeUp,
  { runs = DEFAULT_RUNS, signal, say }: BenchOptions,
): Promise<Measure[]> {
  const all: PageTimings[] = [];
  for (let run = 1; run <= runs; run += 1) {
    signal.throwIfAborted();
    const seen = await look(browser, served);
    all.push(seen);
    say(
      `run ${run}: ${seen.paintMs.toFixed(0)} ms, frames up to ${Math.max(...seen.cards.frames).toFixed(0)} ms`,
    );
  }
  const of = (
    name: string,
    unit: string,
    pick: (seen: PageTimings) => number,
    atMost?: number,
  ): Measure => ({
    name,
    unit,
    runs,
    value: median(all.map(pick)),
    ...(atMost === undefined ? {} : { target: { atMost } }),
  });
  return [
    of('first hosts on the page', 'ms', ({ paintMs }) => paintMs, 2000),
    of('the application, transferred', 'KB', (seen) => seen.applicationBytes / 1000, 500),
    of('the fleet, transferred', 'KB', (seen) => seen.fleetBytes / 1000),
    of('longest frame, scrolling cards', 'ms', ({ cards }) => Math.max(...cards.frames), 50),
    of('longest frame, scrolling the table', 'ms', ({ table }) => Math.max(...table.frames), 50),
    of('script, style and layout of a turn, cards', 'ms', ({ cards }) => cards.workMs),
    of('script, style and layout of a turn, table', 'ms', ({ table }) => table.workMs),
  ];
}

/** One person: a browser without anything of before, the page, and both of its views scrolled. */
async function look(browser: Browser, { url }: MadeUp): Promise<PageTimings> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS);
    const wire = await page.context().newCDPSession(page);
    const paths = new Map<string, string>();
    const bytes = { application: 0, fleet: 0 };
    wire.on('Network.requestWillBeSent', ({ requestId, request }) => {
      paths.set(requestId, new URL(request.url).pathname);
    });
    wire.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      const isOfApi = paths.get(requestId)?.startsWith('/v1/') === true;
      bytes[isOfApi ? 'fleet' : 'application'] += encodedDataLength;
    });
    await wire.send('Network.enable');
    await wire.send('Performance.enable');
    await page.addInitScript({ content: NOTE_FIRST_HOST });
    await page.goto(url);
    const paintMs = Number(await page.evaluate('window.firstHost'));
    const { application: applicationBytes, fleet: fleetBytes } = bytes;
    const cards = await scroll(page, wire);
    await page.getByRole('button', { name: 'Table' }).click();
    await page.getByRole('table', { name: 'Hosts' }).waitFor();
    const table = await scroll(page, wire);
    return {
      paintMs,
      applicationBytes,
      fleetBytes,
      cards,
      table,
    };
  } finally {
    await context.close();
  }
}

/** ms from the beginning of the navigation to the frame after the first one that has a host in it. */
const NOTE_FIRST_HOST = `
  window.firstHost = new Promise((resolve) => {
    const look = () => {
      if (document.querySelector('a[href^="/hosts/"]') === null) return requestAnimationFrame(look);
      requestAnimationFrame(() => resolve(performance.now()));
    };
    requestAnimationFrame(look);
  });
`;

/** ms that the page has worked so far. */
async function workMs(wire: CDPSession): Promise<number> {
  const { metrics } = await wire.send('Performance.getMetrics');
  return metrics
    .filter(({ name }) => /^(Script|Layout|RecalcStyle)Duration$/.test(name))
    .reduce((sum, { value }) => sum + value * 1000, 0);
}

/** Turns the wheel, and says what the page's frames and its work were meanwhile. */
async function scroll(page: Page, wire: CDPSession): Promise<ScrollTimings> {
  const before = await workMs(wire);
  await page.mouse.move(700, 500);
  await page.evaluate(`
    window.frames_ = [];
    window.isScrolling = true;
    let before = performance.now();
    const note = (now) => {
      window.frames_.push(now - before);
      before = now;
      if (window.isScrolling) requestAnimationFrame(note);
    };
    requestAnimationFrame((now) => { before = now; requestAnimationFrame(note); });
  `);
  for (let turn = 0; turn < TURNS; turn += 1) {
    if (turn === LOOK_AT) await page.evaluate(`dispatchEvent(new Event('visibilitychange'))`);
    await page.mouse.wheel(0, TURN_PX);
  }
  const scrolled = Number(await page.evaluate('window.scrollY'));
  if (scrolled < TURN_PX) throw new Error(`the page did not scroll: ${scrolled} px`);
  const frames: unknown = await page.evaluate('window.isScrolling = false, window.frames_');
  return {
    frames: (frames as number[]).filter((ms) => ms > 0),
    workMs: ((await workMs(wire)) - before) / TURNS,
  };
}
