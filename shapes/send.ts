import type { DestinationSession, SourceSession, StreamSetup } from '../src/port/direct.ts';
import type { GuestHandle } from '../src/port/inventory.ts';
import type { GuestDescription } from '../src/protocol/peer/migration.ts';
import type { StartedShape } from './start.ts';
import { granted } from '../test/migration/permission/granted.ts';

export type Mode = 'precopy' | 'postcopy';

interface Sending {
  readonly source: SourceSession;
  readonly destination: DestinationSession;
  readonly description: GuestDescription;
  readonly there: ReadonlyMap<string, string>;
  readonly started: StartedShape;
  readonly mode: Mode;
}

/** All that the two movers would do, without their right to run. Ends with the source gone. */
export async function send(sending: Sending, signal: AbortSignal): Promise<GuestHandle> {
  const { source, destination, description, there, started, mode } = sending;
  const setup: StreamSetup = {
    mode,
    streams: 1,
    compress: 'none',
    tls: false,
    maxDowntimeMs: 200,
    ...(description.disks === undefined ? {} : { disks: true, holdSwitchover: true }),
  };
  const ports = new Map<string, string>();
  for (const { id, bridge, multiQueue = false } of destination.nics(description)) {
    ports.set(id, await started.host.port(bridge, multiQueue));
  }
  try {
    const { memoryAddress, handle } = await destination.start(
      description,
      setup,
      ports,
      signal,
      there,
    );
    await source.configure(setup, signal);
    const over = Promise.withResolvers<void>();
    const all = Promise.withResolvers<void>();
    const heard: string[] = [];
    source.onEvent((event) => {
      heard.push(event.type);
      if (event.type === 'pre-switchover') void source.continueSwitchover(signal);
      if (event.type === 'active' && mode === 'postcopy') void source.startPostcopy(signal);
      if (mode === 'postcopy' && event.type === 'postcopy-active') over.resolve();
      // A small guest is through before post-copy could begin.
      if (event.type === 'completed') {
        over.resolve();
        all.resolve();
      }
      if (event.type !== 'failed' && event.type !== 'lost') return;
      over.reject(new Error(event.reason));
      all.reject(new Error(event.reason));
    });
    all.promise.catch(() => undefined);
    signal.addEventListener('abort', () => {
      const last = new Error(`no end of the stream; the last that was heard: ${heard.join(', ')}`);
      over.reject(last);
      all.reject(last);
    });
    await source.startMemory(memoryAddress, undefined, signal);
    await over.promise;
    if (mode === 'postcopy') await destination.ready?.(signal);
    await destination.resumeGuest(granted(handle.name), signal);
    await all.promise;
    await source.quit(signal);
    await destination.settle(signal);
    return handle;
  } catch (error) {
    await destination.destroy(AbortSignal.timeout(10_000)).catch(() => undefined);
    throw error;
  } finally {
    await source.close();
  }
}
