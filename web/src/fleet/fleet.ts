import { batch, signal } from '@preact/signals';
import { asProblem, request, type Problem } from '../base/http.ts';
import { follow } from '../base/live.ts';
import type { FleetChange, News } from '../base/news.ts';
import { sessionEnded } from '../base/session.ts';
import { newsOfMigration } from '../moves/open.ts';
import { askForRequests, newsOfRequest } from '../requests/requests.ts';
import { FleetModel, type GuestMove } from './model.ts';
import { readOverview } from './overview.ts';

/** The fleet that the pages show. What draws it reads `revision` too, and so is drawn again with the next change. */
export const fleet = new FleetModel();
/** Counts up when figures of hosts change. */
export const revision = signal(0);
/** Counts up when hosts or guests come, go, or change their states. */
export const shape = signal(0);
/** Guests that have just come to another host; whoever draws them takes them out. */
export const arrivals: GuestMove[] = [];
export const loaded = signal<'no' | 'yes' | Problem>('no');
/** The moment of the last overview, ms since 1970, by this computer's clock. */
export const seenAtMs = signal(0);

/** Between two looks at the figures of all hosts, at least; a slow answer makes it longer. */
const LOOK_MS = 10_000;
const SOON_MS = 1000;
const LOOKS_PART = 20;
const MAX_ARRIVALS = 200;
/** An overview may lack the events of so long before it: they are written a moment after they are published. */
const RECENT_MS = 30_000;
const MAX_RECENT = 20_000;

let tag: string | undefined;
let waitingNews: FleetChange[] | undefined;
let recentNews: { readonly news: FleetChange; readonly atMs: number }[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;
let drawn: number | undefined;
let pendingShape = false;

/** Follows the fleet until the signal aborts. */
export function watchFleet(until: AbortSignal): void {
  until.addEventListener('abort', () => clearTimeout(timer), { once: true });
  addEventListener('visibilitychange', onVisible, { signal: until });
  void follow((news) => take(news, until), until);
  void look(until, true);
  function onVisible(): void {
    if (document.visibilityState === 'visible') void look(until);
  }
}

/** Asks for everything once more, now. */
export async function look(until: AbortSignal, fresh = false): Promise<void> {
  if (waitingNews !== undefined) return;
  clearTimeout(timer);
  const begun = performance.now();
  waitingNews = [];
  try {
    const headers = tag === undefined || fresh ? {} : { 'if-none-match': tag };
    const response = await request('/v1/overview', { headers, signal: until });
    if (response.status !== 304) {
      tag = response.headers.get('etag') ?? undefined;
      const draft = fleet.draft();
      const text = await response.arrayBuffer();
      for await (const piece of readOverview(text, until)) fleet.add(draft, piece);
      fleet.replace(draft);
    }
    // Those that the overview has change nothing.
    for (const { news } of recentNews) fleet.apply(news);
    for (const news of waitingNews) fleet.apply(news);
    batch(() => {
      loaded.value = 'yes';
      seenAtMs.value = Date.now();
      changed(true);
    });
  } catch (thrown) {
    if (until.aborted) return;
    const problem = asProblem(thrown);
    if (problem.status === 401) return sessionEnded();
    if (loaded.value !== 'yes') loaded.value = problem;
  } finally {
    waitingNews = undefined;
  }
  const took = performance.now() - begun;
  if (until.aborted) return;
  timer = setTimeout(() => void lookIfSeen(until), Math.max(LOOK_MS, took * LOOKS_PART));
}

/** A drain of the host was ended on this page. */
export function opened(host: string): void {
  fleet.open(host);
  changed(true);
}

/** Which hosts are drained follows from requests, and stands in the overview. */
function lookSoon(until: AbortSignal): void {
  clearTimeout(timer);
  timer = setTimeout(() => void lookIfSeen(until), SOON_MS);
}

function lookIfSeen(until: AbortSignal): Promise<void> | undefined {
  // Nobody looks at it: the next look is when somebody does.
  return document.visibilityState === 'hidden' ? undefined : look(until);
}

function take(news: News, until: AbortSignal): void {
  switch (news.type) {
    case 'ready':
    case 'lost':
    case 'reset':
      void askForRequests(until);
      void look(until, true);
      return;
    case 'migration':
      return newsOfMigration(news.migration);
    case 'request':
      newsOfRequest(news.request);
      return lookSoon(until);
    default:
  }
  if (waitingNews !== undefined) waitingNews.push(news);
  if (isOfGuest(news)) remember(news);
  const { change, moved } = fleet.apply(news);
  if (moved !== undefined && arrivals.length < MAX_ARRIVALS) arrivals.push(moved);
  if (change !== 'nothing') changed(change === 'shape');
}

/** Figures of hosts are newer in the overview. */
const isOfGuest = ({ type }: FleetChange): boolean => type === 'guest' || type === 'guest-gone';

function remember(news: FleetChange): void {
  const atMs = performance.now();
  const { atMs: oldestMs = atMs } = recentNews[0] ?? {};
  if (atMs - oldestMs > 2 * RECENT_MS || recentNews.length >= MAX_RECENT)
    recentNews = recentNews.filter((each) => atMs - each.atMs < RECENT_MS).slice(-MAX_RECENT / 2);
  recentNews.push({ news, atMs });
}

/** Draws with the next frame, however many events come before it. */
function changed(isShape: boolean): void {
  pendingShape ||= isShape;
  drawn ??= requestAnimationFrame(() => {
    drawn = undefined;
    batch(() => {
      revision.value += 1;
      if (pendingShape) shape.value += 1;
      pendingShape = false;
    });
  });
}
