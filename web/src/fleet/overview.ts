import type { Piece } from './pieces.ts';

/** A page that nobody sees draws no frame; ms. */
const UNSEEN_MS = 100;

/** An overview in pieces, one between two frames, so that the page is drawn and scrolls on meanwhile. */
export async function* readOverview(text: ArrayBuffer, until: AbortSignal): AsyncGenerator<Piece> {
  const worker = new Worker('/overview-worker.js', { type: 'module' });
  try {
    for (let sent: ArrayBuffer | undefined = text; ; sent = undefined) {
      const piece = await answerOf(worker, sent, until);
      if (piece === undefined) return;
      yield piece;
      await nextFrame();
    }
  } finally {
    worker.terminate();
  }
}

function answerOf(
  worker: Worker,
  sent: ArrayBuffer | undefined,
  until: AbortSignal,
): Promise<Piece | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Piece | undefined>();
  const answered = new AbortController();
  const { signal } = answered;
  const fail = (): void => reject(new Error('the overview could not be read'));
  worker.addEventListener('message', ({ data }) => resolve(data as Piece | undefined), { signal });
  worker.addEventListener('error', fail, { signal });
  until.addEventListener('abort', fail, { signal });
  if (until.aborted) fail();
  else worker.postMessage(sent, sent === undefined ? [] : [sent]);
  return promise.finally(() => answered.abort());
}

/** Once the next frame is drawn. */
function nextFrame(): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(resolve, UNSEEN_MS);
    requestAnimationFrame(() => {
      clearTimeout(late);
      setTimeout(resolve);
    });
  });
}
