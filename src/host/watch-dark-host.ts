import { systemClock, type Clock } from '../clock.ts';
import { withDeadline } from '../deadline.ts';
import {
  afterAnotherAnswered,
  afterQuestion,
  beginDarkWatch,
  type DarkTerms,
  type DarkWatch,
  type KernelAnswer,
  type Question,
} from '../migration/direct/operator/dark-host.ts';
import type { KernelLook } from '../migration/standby/source-sight.ts';
import { ownLinkTo, type OwnLink } from '../network/own-link.ts';
import { openIcmp } from '../network/probe/kinds/icmp.ts';
import type { ProbeOpening } from '../network/probe/kinds/probe.ts';
import { splitAddress, withHost } from '../protocol/names.ts';
import { rendezvousOf } from '../protocol/relay.ts';
import { askKernel, type AskKernel } from '../rpc/reach.ts';
import { askHost } from './machine/host-kernel.ts';
import { resolveName, type ResolveName } from './machine/host-names.ts';

/** Timeout of a probe, ms: far above any round trip, and short enough for many probes in a silence. */
const ANSWER_MS = 1000;
/** Pause between probes on a path, ms. */
const AGAIN_MS = 250;
/** In a longer gap between two probes the host may have answered, ms. */
const BREAK_MS = 1000;
/** Extra time to restart the silence after delays of this host, ms. */
const SLACK_MS = 5000;

export interface DarkWatchIo {
  readonly clock: Clock;
  readonly ask: AskKernel;
  readonly ownLinkTo: (ip: string, signal: AbortSignal) => Promise<OwnLink>;
  /** ICMP echo to an IP address, if this host can send it. Never rejects. */
  readonly openEcho: (
    ip: string,
    onAnswer: () => void,
    signal: AbortSignal,
  ) => Promise<ProbeOpening>;
  readonly resolve: ResolveName;
}

export const darkWatchIo: DarkWatchIo = {
  clock: systemClock,
  ask: askHost(askKernel),
  ownLinkTo,
  openEcho: openIcmp,
  resolve: resolveName,
};

/** Longest duration of `whyNotDark`, ms. */
export function darkWatchMs(silenceMs: number): number {
  return silenceMs + SLACK_MS;
}

/** Controls per route; several, in case one is down. */
const MAX_CONTROLS = 4;
const MAX_LOOKED_AT = 16;

interface ProbeTargets {
  readonly paths: readonly string[];
  /** Route of each path; absent without a route. */
  readonly routes: ReadonlyMap<string, string>;
  /** Addresses of other hosts by route. */
  readonly controls: ReadonlyMap<string, readonly string[]>;
}

/**
 * Probes a host's kernel on all `addresses` (host:port) until it was silent for `silenceMs` on each, an answer came, or
 * the result is unclear. Throughout, one of `others` must have answered over the same route. Undefined: the host is
 * dark; otherwise the reason why it is not. Rejects only by the signal.
 */
export async function whyNotDark(
  addresses: readonly string[],
  others: readonly string[],
  silenceMs: number,
  signal: AbortSignal,
  io: DarkWatchIo = darkWatchIo,
): Promise<string | undefined> {
  const byRelay = addresses.find((each) => rendezvousOf(each) !== undefined);
  if (byRelay !== undefined)
    return `unknown: ${byRelay} leads through a relay, and only its word would say that the host is silent`;
  const untilMs = io.clock.monotonicMs() + darkWatchMs(silenceMs);
  let asked: ProbeTargets;
  try {
    asked = await withDeadline('the routes to that host', SLACK_MS, signal, (inner) =>
      routesTo(addresses, others, inner, io),
    );
  } catch (thrown) {
    signal.throwIfAborted();
    return `unknown: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  }
  const { paths, routes, controls } = asked;
  const alone = paths.find((path) => controls.get(routes.get(path) ?? '')?.length === 0);
  if (alone !== undefined) {
    const route = routes.get(alone) ?? '';
    return `unknown: no other host is known over ${route}, by which this host would know that its own route to ${alone} is open (see \`fencing.controls\`)`;
  }
  const watch = await listenTo(asked, { silenceMs, untilMs }, signal, io);
  return wordsOf(watch, silenceMs);
}

export type LookAtKernel = (
  addresses: readonly string[],
  signal: AbortSignal,
) => Promise<KernelLook>;

/** Any answer counts; silence needs every path. Rejects only by the signal. */
export async function lookAtKernel(
  addresses: readonly string[],
  signal: AbortSignal,
  io: DarkWatchIo = darkWatchIo,
): Promise<KernelLook> {
  if (addresses.some((each) => rendezvousOf(each) !== undefined)) return 'unknown';
  try {
    const paths = await resolved(addresses, io);
    const heard = await Promise.all(paths.map((path) => ask(path, undefined, signal, io)));
    if (heard.some(({ what }) => what === 'answer')) return 'answers';
    return heard.every(({ what }) => what === 'silence') ? 'silent' : 'unknown';
  } catch {
    signal.throwIfAborted();
    return 'unknown';
  }
}

async function listenTo(
  { paths, routes, controls }: ProbeTargets,
  { silenceMs, untilMs }: { readonly silenceMs: number; readonly untilMs: number },
  signal: AbortSignal,
  io: DarkWatchIo,
): Promise<DarkWatch> {
  const { clock } = io;
  const terms: DarkTerms = { silenceMs, answerMs: ANSWER_MS, breakMs: BREAK_MS };
  let watch = beginDarkWatch(paths, terms);
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
      const heard = await ask(path, routes.get(path), within, io);
      hear({ path, askedAtMs, endedAtMs: clock.monotonicMs(), heard });
      if (goesOn()) await clock.sleep(AGAIN_MS, within);
    }
  };
  const askOther = async (route: string, other: string): Promise<void> => {
    while (goesOn()) {
      const { what } = await io.ask(other, ANSWER_MS, within);
      const atMs = clock.monotonicMs();
      for (const path of what === 'answer' ? paths : []) {
        if (routes.get(path) === route) watch = afterAnotherAnswered(watch, path, atMs);
      }
      if (goesOn()) await clock.sleep(AGAIN_MS, within);
    }
  };
  // Firewalls may drop packets to closed ports. Only an echo's answer counts, because many drop echoes, too.
  const echoOn = async (path: string): Promise<void> => {
    const onAnswer = (): void => {
      const atMs = clock.monotonicMs();
      const heard = { what: 'answer', said: 'it answers an ICMP echo' } as const;
      hear({ path, askedAtMs: atMs, endedAtMs: atMs, heard });
    };
    const opened = await io.openEcho(splitAddress(path).host, onAnswer, within);
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
  // A verdict ends the other paths' probes.
  const perIp = [...new Map(paths.map((path) => [splitAddress(path).host, path])).values()];
  const asOthers = [...controls].flatMap(([route, each]) =>
    each.map((other) => askOther(route, other)),
  );
  const all = [...paths.map(askOn), ...perIp.map(echoOn), ...asOthers];
  await Promise.all(all.map((each) => each.catch(() => signal.throwIfAborted())));
  return watch;
}

function wordsOf({ verdict, open }: DarkWatch, silenceMs: number): string | undefined {
  switch (verdict.kind) {
    case 'dark':
      return undefined;
    case 'not-dark':
      return verdict.why;
    case 'wait': {
      const closed = [...open].find(([, span]) => span === undefined)?.[0];
      if (closed !== undefined) {
        return `unknown: no other host answered over the route to ${closed} either`;
      }
      return `unknown: this host could not ask it, and another one over the same route, for ${silenceMs} ms without a break`;
    }
  }
}

async function routesTo(
  addresses: readonly string[],
  others: readonly string[],
  signal: AbortSignal,
  io: DarkWatchIo,
): Promise<ProbeTargets> {
  const paths = await resolved(addresses, io);
  const routes = await routesOf(paths, signal, io);
  const known = await Promise.all(
    others
      .filter((each) => rendezvousOf(each) === undefined)
      .map((each) => resolved([each], io).catch((): string[] => [])),
  );
  const candidates = [...new Set(known.flat())].slice(0, MAX_LOOKED_AT);
  const theirs = await routesOf(candidates, signal, io);
  const ips = new Set(paths.map((path) => splitAddress(path).host));
  const controls = new Map<string, string[]>();
  for (const route of new Set(routes.values())) {
    const there = candidates.filter(
      (each) => theirs.get(each) === route && !ips.has(splitAddress(each).host),
    );
    controls.set(route, there.slice(0, MAX_CONTROLS));
  }
  return { paths, routes, controls };
}

async function routesOf(
  addresses: readonly string[],
  signal: AbortSignal,
  { ownLinkTo: linkTo }: DarkWatchIo,
): Promise<Map<string, string>> {
  const links = await Promise.all(addresses.map((each) => linkTo(splitAddress(each).host, signal)));
  return new Map(
    links.flatMap((link, index) =>
      link.isUp ? [[addresses[index] ?? '', link.route] as const] : [],
    ),
  );
}

/** Silence counts only while this host's link is up; an "unreachable" from a router is not silence. */
async function ask(
  path: string,
  route: string | undefined,
  signal: AbortSignal,
  io: DarkWatchIo,
): Promise<KernelAnswer> {
  const word = await io.ask(path, ANSWER_MS, signal);
  if (word.what === 'answer') return { what: 'answer', said: word.said };
  if (word.what === 'unknown') return { what: 'unknown', said: word.said };
  const link = await io.ownLinkTo(splitAddress(path).host, signal);
  if (!link.isUp) return { what: 'unknown', said: link.why };
  if (route !== undefined && link.route !== route) {
    return {
      what: 'unknown',
      said: `this host sends over ${link.route} now, no more over ${route}`,
    };
  }
  if (word.what === 'unreachable' && !link.missing) {
    return { what: 'unknown', said: `${word.said}, which a router or a firewall may say` };
  }
  return { what: 'silence', said: word.said };
}

async function resolved(addresses: readonly string[], { resolve }: DarkWatchIo): Promise<string[]> {
  const all = await Promise.all(
    addresses.map(async (address) => {
      const ips = await resolve(splitAddress(address).host);
      return ips.map((each) => withHost(address, each));
    }),
  );
  return [...new Set(all.flat())];
}
