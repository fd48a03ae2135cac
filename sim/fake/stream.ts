import type { FakeInstance } from './instance.ts';
import type { FakeWorld } from './world.ts';

const DEFAULT_TICK_MS = 5;

/** Sends memory until the stream has ended, in steps of the world's tick. */
export async function pump(world: FakeWorld, source: FakeInstance): Promise<void> {
  const { clock, tickMs = DEFAULT_TICK_MS } = world.options;
  let before = clock.monotonicMs();
  while (isUnderWay(source)) {
    await clock.sleep(tickMs);
    const now = clock.monotonicMs();
    advance(world, source, now - before);
    before = now;
  }
}

function isUnderWay({ alive, stream }: FakeInstance): boolean {
  return (
    alive &&
    /^(setup|active|pre-switchover|device|postcopy-active|postcopy-recovering)$/.test(stream)
  );
}

/** What happens in so many ms. */
function advance(world: FakeWorld, source: FakeInstance, elapsedMs: number): void {
  const { peer } = source;
  if (!world.linkUp || peer?.alive !== true) {
    source.breakStream(world.linkUp ? 'the other side is gone' : 'the link is down');
    peer?.breakStream('the link is down');
    return;
  }
  const rate = Math.min(world.options.linkRate, source.settings.maxBandwidth ?? Infinity);
  const sent = Math.min(source.remainingBytes, Math.ceil((rate * elapsedMs) / 1000));
  switch (source.stream) {
    case 'setup':
      source.round = 1;
      source.emit({ type: 'pass', round: 1 });
      source.to('active');
      peer.to('active');
      return;
    case 'active':
      send(source, sent);
      if (source.wantsPostcopy || source.remainingBytes === 0) endRound(source, rate);
      return;
    case 'pre-switchover':
      if (source.mayContinue) handOver(world, source, peer);
      return;
    case 'device':
      send(source, sent);
      if (source.remainingBytes === 0) complete(world, source, peer);
      return;
    case 'postcopy-recovering':
      peer.to('postcopy-active');
      source.to('postcopy-active');
      return;
    case 'postcopy-active':
      send(source, sent);
      if (source.remainingBytes === 0) complete(world, source, peer);
      return;
    default:
  }
}

function send(source: FakeInstance, bytes: number): void {
  source.transferredBytes += bytes;
  source.remainingBytes -= bytes;
}

/** The guest went on writing: another round, or the switchover when the rest is small enough. */
function endRound(source: FakeInstance, rate: number): void {
  const { memoryBytes, dirtyRate } = source.guest;
  const roundBytes = source.round === 1 ? memoryBytes : source.transferredBytes / source.round;
  const dirtied = Math.min(memoryBytes, Math.round((roundBytes / rate) * dirtyRate));
  source.remainingBytes = Math.max(source.remainingBytes, dirtied);
  source.round++;
  source.emit({ type: 'pass', round: source.round });
  const left = (source.remainingBytes / rate) * 1000;
  if (!source.wantsPostcopy && left > (source.settings.maxDowntimeMs ?? 100)) return;
  source.stop();
  source.to(source.settings.holdSwitchover === true ? 'pre-switchover' : 'device');
}

function handOver(world: FakeWorld, source: FakeInstance, peer: FakeInstance): void {
  source.to('device');
  if (!source.wantsPostcopy) return;
  source.run = 'handed-over';
  source.downtimeMs = world.options.clock.monotonicMs() - source.stoppedMs;
  peer.memory = source.memory;
  peer.run = 'paused';
  source.to('postcopy-active');
  peer.to('postcopy-active');
}

function complete(world: FakeWorld, source: FakeInstance, peer: FakeInstance): void {
  const now = world.options.clock.monotonicMs();
  source.endedMs = now;
  source.downtimeMs ??= now - source.stoppedMs;
  if (peer.run === 'incoming') {
    peer.memory = source.memory;
    peer.run = 'paused';
  }
  source.run = 'handed-over';
  peer.to('completed');
  source.to('completed');
}
