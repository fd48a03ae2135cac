import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type Page } from 'playwright-core';
import { initCa, issue, storeCredentials } from '../src/pki/authority.ts';
import { buildWeb } from '../tools/web.ts';
import type { BenchOptions } from './contract.ts';
import { hostAt } from './dashboard/sample-values.ts';
import type { EventsOrder, EventsReported } from './events-messages.ts';

const HOSTS = 10_000;
const EVENTS = 40;
/** What else happens in the fleet: as many events as a log of ten minutes is made for. */
const MEANWHILE: EventsOrder = { perS: 80, bytes: 0 };
/** Between two of the events that are timed, ms: long enough that the page asks for the whole fleet several times. */
const PAUSE_MS = { least: 300, more: 900 };
const WAIT_MS = 60_000;

/** Notes when the card of that host is drawn in another state. */
const NOTE_STATES = `
  window.seen = [];
  let before = '';
  const look = () => {
    const card = document.querySelector('[data-host="${hostAt(0)}"]');
    const state = card === null ? before : card.classList.contains('silent') ? 'silent' : 'up';
    if (state === before) return;
    before = state;
    requestAnimationFrame(() => window.seen.push(Date.now()));
  };
  new MutationObserver(look).observe(document.body, {
    subtree: true, childList: true, attributes: true, attributeFilter: ['class'],
  });
  look();
`;

/**
 * How long after a host's event is in the controller's log a page in Chromium has drawn it, ms each: with the doors of a
 * controller, over TLS, and the fleet page of 10,000 hosts and 100,000 guests.
 */
export async function reachesBrowser(
  directory: string,
  { say, signal }: Pick<BenchOptions, 'say' | 'signal'>,
): Promise<number[]> {
  const stateDir = path.join(directory, 'browser');
  const pages = path.join(directory, 'web');
  mkdirSync(stateDir);
  buildWeb(pages);
  await initCa(path.join(stateDir, 'ca'));
  const addresses = ['127.0.0.1'];
  const caDir = path.join(stateDir, 'ca');
  const issued = await issue({ caDir, name: 'control', role: 'controller', addresses });
  storeCredentials(path.join(stateDir, 'pki'), issued, 'controller');
  const program = path.join(import.meta.dirname, 'events-server.ts');
  const server = fork(program, [stateDir, '127.0.0.1:0', String(HOSTS), pages]);
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  try {
    const [ready] = (await once(server, 'message', { signal })) as [
      { address: string; token: string },
    ];
    const context = await browser.newContext({
      viewport: { width: 1400, height: 900 },
      ignoreHTTPSErrors: true,
      extraHTTPHeaders: { authorization: `Bearer ${ready.token}` },
      // What notes the states is put into the page, which its policy refuses to everybody else.
      bypassCSP: true,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS);
    await page.goto(`https://${ready.address}`);
    await page.locator('.card').first().waitFor();
    await page.getByText('live', { exact: true }).waitFor();
    await page.evaluate(NOTE_STATES);
    await page.waitForFunction('window.seen.length > 0');
    say(`a page of ${HOSTS} hosts follows ${MEANWHILE.perS} events a second`);
    return await timed(page, server, signal);
  } finally {
    await browser.close();
    if (server.exitCode === null && server.signalCode === null) {
      const exited = once(server, 'exit');
      server.kill('SIGKILL');
      await exited;
    }
  }
}

async function timed(page: Page, server: ChildProcess, signal: AbortSignal): Promise<number[]> {
  const order = async (what: EventsOrder): Promise<EventsReported> => {
    const answer = once(server, 'message', { signal }) as Promise<[EventsReported]>;
    server.send(what);
    return (await answer)[0];
  };
  const took: number[] = [];
  // The first was there before.
  for (let nth = 1; nth <= EVENTS; nth += 1) {
    const { atMs } = await order({ ...MEANWHILE, mark: nth % 2 === 1 ? 'silent' : 'up' });
    await page.waitForFunction(`window.seen.length > ${nth}`);
    const seen = (await page.evaluate('window.seen')) as number[];
    took.push((seen[nth] ?? Infinity) - atMs);
    await sleep(PAUSE_MS.least + PAUSE_MS.more * Math.random(), undefined, { signal });
  }
  return took;
}
