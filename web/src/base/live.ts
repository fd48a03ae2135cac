import { signal } from '@preact/signals';
import type { News } from './news.ts';
import { connectionAfter, pauseBefore, SILENT_MS, type Connection } from './connection.ts';
import { EventReader } from './event-stream.ts';
import { asProblem, request, unreachable } from './http.ts';
import { sessionEnded } from './session.ts';

/** How the page stands with the controller. */
export const connection = signal<Connection>({ state: 'connecting' });

/** How long the clock between two looks at a broken connection is, ms. */
const TICK_MS = 1000;

/**
 * Follows the controller's events until the signal aborts: comes back from behind the last one after each break, and says
 * how it stands in `connection`. `reset`: what was missed is not known; ask for everything again.
 */
export async function follow(take: (news: News) => void, until: AbortSignal): Promise<void> {
  let last: string | undefined;
  const note = (news: 'opened' | 'failed' | 'tick'): void => {
    connection.value = connectionAfter(connection.value, news, performance.now());
  };
  const clock = setInterval(() => note('tick'), TICK_MS);
  until.addEventListener('abort', () => clearInterval(clock), { once: true });
  while (!until.aborted) {
    try {
      const headers = {
        accept: 'text/event-stream',
        ...(last === undefined ? {} : { 'last-event-id': last }),
      };
      await readStream(
        '/v1/events',
        { headers, signal: until },
        {
          opened: () => note('opened'),
          event: ({ event, id, data }) => {
            last = id ?? last;
            const news = newsOf(event, data);
            if (news !== undefined) take(news);
          },
        },
      );
      note('failed');
    } catch (thrown) {
      if (until.aborted) break;
      if (asProblem(thrown).status === 401) return sessionEnded();
      note('failed');
    }
    const { value } = connection;
    await pause(pauseBefore('tries' in value ? value.tries : 0, Math.random()), until);
  }
}

function newsOf(event: string, data: string): News | undefined {
  if (event === 'reset') return { type: 'reset' };
  if (event === 'error') throw unreachable();
  const read: unknown = JSON.parse(data);
  const hasType = typeof read === 'object' && read !== null && 'type' in read;
  return hasType ? (read as News) : undefined;
}

interface Reading {
  readonly opened: () => void;
  readonly event: (event: { event: string; id: string | undefined; data: string }) => void;
}

/** Reads one stream to its end. Throws Problem where it is refused, or where no byte comes for SILENT_MS. */
export async function readStream(
  path: string,
  { headers, signal: until }: { headers: Record<string, string>; signal: AbortSignal },
  { opened, event }: Reading,
): Promise<void> {
  const dead = new AbortController();
  let watchdog = setTimeout(() => dead.abort(), SILENT_MS);
  const heard = (): void => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => dead.abort(), SILENT_MS);
  };
  try {
    const response = await request(path, {
      headers,
      // A stream has no deadline: it is watched for its silence.
      endless: true,
      signal: AbortSignal.any([until, dead.signal]),
    });
    heard();
    opened();
    const reader = new EventReader();
    const bytes = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const piece = await bytes?.read();
      if (piece === undefined || piece.done) return;
      heard();
      for (const each of reader.push(piece.value)) event(each);
    }
  } finally {
    clearTimeout(watchdog);
    dead.abort();
  }
}

export function pause(ms: number, until: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      until.removeEventListener('abort', done);
      // Whoever comes back to the network or to this page does not wait for a pause.
      removeEventListener('online', done);
      resolve();
    }
    until.addEventListener('abort', done);
    addEventListener('online', done);
    if (until.aborted) done();
  });
}
