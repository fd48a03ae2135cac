/** What is there once a move is over, waited for as long as it may take. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Orders } from './orders.ts';
import { hostStates, remainsOf, type HostPlaces, type HostState } from './remains.ts';
import { isAsOrdered, type PlayObservation, type SeenCopy, type SeenMemory } from './verdict.ts';
import type { Witness } from './witness.ts';

/** For a guest to shut down, on a busy machine. */
const SETTLE_MS = 20_000;
const REMAINS_MS = 4000;
const POLL_MS = 50;
/** For a guest to boot, or to read its memory and its disks, on a busy machine. */
const ANSWER_S = 45;
/** A guest whose link is down gives no answer for so long. */
const SILENT_S = 2;

/** The copies once they are as ordered, or once the time for that is over. */
export async function settled(witness: Witness, orders: Orders): Promise<SeenCopy[]> {
  const start = performance.now();
  for (;;) {
    const copies = await witness.copies();
    const isRight = copies.length <= 1 && isAsOrdered(orders, copies[0]);
    if (isRight || performance.now() - start > SETTLE_MS) return copies;
    await sleep(POLL_MS);
  }
}

export async function remainsLater(
  places: readonly HostPlaces[],
  before: readonly HostState[],
  guest: Parameters<typeof remainsOf>[2],
): Promise<string[]> {
  const start = performance.now();
  for (;;) {
    const found = remainsOf(before, await hostStates(places), guest);
    if (found.length === 0 || performance.now() - start > REMAINS_MS) return found;
    await sleep(POLL_MS);
  }
}

/** What the guest itself finds, once its owner has let it run with its link up. */
export async function look(
  witness: Witness,
  orders: Orders,
  copies: readonly SeenCopy[],
  boot: unknown,
): Promise<Pick<PlayObservation, 'memory' | 'isReachable'>> {
  const [copy] = copies;
  const monitor = copy === undefined ? undefined : witness.monitor(copy.host);
  if (copies.length !== 1 || monitor === undefined || copy?.status === 'shutdown') {
    return { memory: undefined, isReachable: undefined };
  }
  if (copy?.status !== 'running') await monitor.ask('cont').catch(() => undefined);
  const mayAnswer = orders.link.includes('up');
  const isReachable = await answers(witness, mayAnswer ? ANSWER_S : SILENT_S);
  if (!isReachable) {
    // libvirt names it.
    const name = copy?.devices.includes('net0') === true ? 'net0' : 'nic0';
    await monitor.ask('set_link', { name, up: true }).catch(() => undefined);
    await witness.forgetNeighbours();
  }
  return { isReachable, memory: await verify(witness, boot) };
}

/** A guest that was started again boots first, and until then each question fails at once. */
async function answers(witness: Witness, seconds: number): Promise<boolean> {
  const start = performance.now();
  for (;;) {
    if ((await witness.askGuest('stats', SILENT_S)) !== undefined) return true;
    if (performance.now() - start > seconds * 1000) return false;
    await sleep(POLL_MS);
  }
}

async function verify(witness: Witness, boot: unknown): Promise<SeenMemory | 'silent'> {
  const stats = await untilReady(witness);
  if (stats === undefined) return 'silent';
  const found = await witness.askGuest('verify', ANSWER_S);
  if (found === undefined) return 'silent';
  return {
    ok: found['ok'] === true,
    badChunks: Number(found['badChunks'] ?? 0),
    badDiskChunks: Number(found['badDiskChunks'] ?? 0),
    diskErrors: Number(stats['diskErrors'] ?? 0),
    isSameBoot: stats['bootId'] === boot,
  };
}

/** A guest that was reset boots first. */
async function untilReady(witness: Witness): Promise<Record<string, unknown> | undefined> {
  const start = performance.now();
  while (performance.now() - start < ANSWER_S * 1000) {
    const stats = await witness.askGuest('stats', SILENT_S);
    if (stats?.['ready'] === true) return stats;
    await sleep(POLL_MS);
  }
  return undefined;
}
