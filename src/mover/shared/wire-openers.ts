import type { SourceTunnelOptions, Tunnel } from '../../disks/copy/tunnel/open.ts';
import { toGodwitError } from '../../errors.ts';
import { optimiseWhatIsHot } from '../../system/processes/small-process.ts';
import type {
  SourceWire,
  SourceWireOptions,
  TargetWire,
  TargetWireOptions,
} from '../../wire/open.ts';

/** Opens a mover's end of the wire; replaceable for tests. */
export interface WireOpeners {
  /** Connects to the other mover. Settles soon after the signal aborts, with nothing left open. */
  source(options: SourceWireOptions, signal: AbortSignal): Promise<SourceWire>;
  target(options: TargetWireOptions): Promise<TargetWire>;
}

/** The wire, loaded on demand, so that a native migration does not pay for it. */
export const wireOpeners: WireOpeners = {
  source: async (options, signal) => {
    optimiseWhatIsHot();
    const { openSourceWire } = await import('../../wire/open.ts');
    return untilAborted(openSourceWire(options), signal);
  },
  target: async (options) => {
    optimiseWhatIsHot();
    return (await import('../../wire/open.ts')).openTargetWire(options);
  },
};

/** Source end of the disks' path, loaded on demand. */
export async function openDiskTunnel(
  options: SourceTunnelOptions,
  signal: AbortSignal,
): Promise<Tunnel> {
  optimiseWhatIsHot();
  const { openSourceTunnel } = await import('../../disks/copy/tunnel/open.ts');
  return openSourceTunnel(options, signal);
}

async function untilAborted(
  opening: Promise<SourceWire>,
  signal: AbortSignal,
): Promise<SourceWire> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(toGodwitError(signal.reason));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([opening, promise]);
  } catch (thrown) {
    opening.then(
      (wire) => wire.abort(new Error('nobody waits for it any more')),
      () => undefined,
    );
    throw thrown;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
