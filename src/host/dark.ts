import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { withDeadline } from '../deadline.ts';
import { afterQuestion, beginDarkWatch } from '../migration/direct/dark-host.ts';
import type { DarkTerms, DarkWatch, Heard, Question } from '../migration/direct/dark-host.ts';
import { ownLinkTo } from '../network/own-link.ts';
import type { OwnLink } from '../network/own-link.ts';
import { openIcmp } from '../network/probe/kinds/icmp.ts';
import type { Opened } from '../network/probe/kinds/probe.ts';
import { splitAddress, withHost } from '../protocol/names.ts';
import { askKernel } from '../rpc/reach.ts';
import type { AskKernel } from '../rpc/reach.ts';
import { askHost } from './host-kernel.ts';
import { resolveName } from './host-names.ts';
import type { ResolveName } from './host-names.ts';

/** How long a question waits, ms: far above any round trip, and short enough that a silence holds many of them. */
const PATIENCE_MS = 1000;
/** Between a question and the next one over the same path, ms. */
const AGAIN_MS = 250;
/** A longer break between two questions is one in which the host may have spoken, ms. */
const BREAK_MS = 1000;
/** Where this host was held up while it asked, the silence begins anew; but not for ever, ms. */
const SLACK_MS = 5000;

/** How the world is seen; a test gives its own. */
export interface DarkDoors {
  readonly clock: Clock;
  readonly ask: AskKernel;
  readonly ownLinkTo: (ip: string, signal: AbortSignal) => Promise<OwnLink>;
  /** ICMP's echo to an IP address, where this host can send it. Never rejects. */
  readonly openEcho: (ip: string, onAnswer: () => void, signal: AbortSignal) => Promise<Opened>;
  /** The IP addresses of a host's name. */
  readonly resolve: ResolveName;
}

export const darkDoors: DarkDoors = {
  clock: systemClock,
  ask: askHost(askKernel),
  ownLinkTo,
  openEcho: openIcmp,
  resolve: resolveName,
};

/** How long `whyNotDark` takes at most, ms. */
export function darkWatchMs(silenceMs: number): number {
  return silenceMs + SLACK_MS;
}

/**
 * Asks a host's kernel over all `addresses` (host:port) at once until it has been silent for `silenceMs` over each of
 * them, or an answer came, or nobody can tell. Undefined: it is dark; else why it is not taken for dark. Rejects by the
 * signal alone.
 */
export async function whyNotDark(
  addresses: readonly string[],
  silenceMs: number,
  signal: AbortSignal,
  doors: DarkDoors = darkDoors,
): Promise<string | undefined> {
  const terms: DarkTerms = { silenceMs, patienceMs: PATIENCE_MS, breakMs: BREAK_MS };
  let paths: string[];
  try {
    paths = await withDeadline('the name of that host', PATIENCE_MS, signal, () =>
      resolved(addresses, doors),
    );
  } catch (thrown) {
    signal.throwIfAborted();
    return `nobody can tell: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  }
  let watch = beginDarkWatch(paths, terms);
  const { clock } = doors;
  const untilMs = clock.monotonicMs() + darkWatchMs(silenceMs);
  const over = new AbortController();
  const within = AbortSignal.any([signal, over.signal]);
  const hear = (question: Question): void => {
    watch = afterQuestion(watch, question);
    if (watch.verdict.kind !== 'wait') over.abort();
  };
  const goesOn = (): boolean => watch.verdict.kind === 'wait' && clock.monotonicMs() < untilMs;
  const askOn = async (path: string): Promise<void> => {
    while (goesOn()) {
      const askedAtMs = clock.monotonicMs();
      const heard = await ask(path, within, doors);
      hear({ path, askedAtMs, endedAtMs: clock.monotonicMs(), heard });
      if (goesOn()) await clock.sleep(AGAIN_MS, within);
    }
  };
  // A firewall may drop what comes to closed ports. Only an answer to an echo counts: many a firewall drops those too.
  const echoOn = async (path: string): Promise<void> => {
    const onAnswer = (): void => {
      const atMs = clock.monotonicMs();
      const heard = { what: 'answer', said: 'it answers an ICMP echo' } as const;
      hear({ path, askedAtMs: atMs, endedAtMs: atMs, heard });
    };
    const opened = await doors.openEcho(splitAddress(path).host, onAnswer, within);
    if ('why' in opened) return;
    try {
      while (goesOn()) {
        opened.probe.ask();
        await clock.sleep(AGAIN_MS, within);
      }
    } finally {
      await opened.probe.close();
    }
  };
  // A verdict ends the questions that are under way over the other paths.
  const perIp = [...new Map(paths.map((path) => [splitAddress(path).host, path])).values()];
  const all = [...paths.map(askOn), ...perIp.map(echoOn)];
  await Promise.all(all.map((each) => each.catch(() => signal.throwIfAborted())));
  return wordsOf(watch, silenceMs);
}

function wordsOf({ verdict }: DarkWatch, silenceMs: number): string | undefined {
  switch (verdict.kind) {
    case 'dark':
      return undefined;
    case 'not-dark':
      return verdict.why;
    case 'wait':
      return `nobody can tell: this host could not ask it for ${silenceMs} ms without a break`;
  }
}

/** Silence counts only while this host's own link is up; that somebody else calls the host unreachable is no silence. */
async function ask(path: string, signal: AbortSignal, doors: DarkDoors): Promise<Heard> {
  const word = await doors.ask(path, PATIENCE_MS, signal);
  if (word.what === 'answer') return { what: 'answer', said: word.said };
  if (word.what === 'unknown') return { what: 'unknown', said: word.said };
  const link = await doors.ownLinkTo(splitAddress(path).host, signal);
  if (!link.isUp) return { what: 'unknown', said: link.why };
  if (word.what === 'unreachable' && !link.missing) {
    return { what: 'unknown', said: `${word.said}, which a router or a firewall may say` };
  }
  return { what: 'silence', said: word.said };
}

/** Each IP address of each name, once. */
async function resolved(addresses: readonly string[], { resolve }: DarkDoors): Promise<string[]> {
  const all = await Promise.all(
    addresses.map(async (address) => {
      const ips = await resolve(splitAddress(address).host);
      return ips.map((each) => withHost(address, each));
    }),
  );
  return [...new Set(all.flat())];
}
