import { nativeLibrary } from '../../../system/native-calls.ts';
import { countedCall } from '../../../system/processes/hanging-calls.ts';
import type { DeviceAnswer, Feature } from './device.ts';

/**
 * Queries a device driver's migration support through QEMU's open descriptor of the device. Only uses queries
 * (linux/vfio.h, VFIO_DEVICE_FEATURE with GET or PROBE), which a driver answers in any device state.
 */

const PIDFD_OPEN = 434;
const PIDFD_GETFD = 438;
/** _IO(';', 100 + 17) */
const VFIO_DEVICE_FEATURE = 0x3b75;
const GET = 1 << 16;
const PROBE = 1 << 18;
const MIGRATION = 1;
const DMA_LOGGING_START = 6;
const MIG_DATA_SIZE = 9;
const HEAD_BYTES = 8;
const FLAGS: readonly (readonly [bit: bigint, feature: Feature])[] = [
  [1n, 'stop-copy'],
  [2n, 'p2p'],
  [4n, 'pre-copy'],
];

const library = nativeLibrary({
  syscall: 'long syscall(long, long, long, long)',
  ioctl: 'int ioctl(int, unsigned long, void *)',
  close: 'int close(int)',
});

/** Undefined if the process may not be inspected, or its descriptor is not of a device with migration support. */
export async function askDevice(pid: number, fd: number): Promise<DeviceAnswer | undefined> {
  const { syscall, close } = library().calls;
  const process = Number(syscall(PIDFD_OPEN, pid, 0, 0));
  if (process < 0) return undefined;
  const own = Number(syscall(PIDFD_GETFD, process, fd, 0));
  close(process);
  if (own < 0) return undefined;
  try {
    const flags = await ask(own, GET | MIGRATION);
    if (flags === undefined) return undefined;
    const features = FLAGS.filter(([bit]) => (flags & bit) !== 0n).map(([, feature]) => feature);
    const tracks = (await ask(own, PROBE | DMA_LOGGING_START, 0)) !== undefined;
    const bytes = await ask(own, GET | MIG_DATA_SIZE);
    return {
      features: tracks ? [...features, 'dirty-tracking'] : features,
      ...(bytes === undefined || bytes > BigInt(Number.MAX_SAFE_INTEGER)
        ? {}
        : { stopCopyBytes: Number(bytes) }),
    };
  } finally {
    close(own);
  }
}

/** Single number; undefined if the driver does not support the query. The call runs outside this thread. */
async function ask(fd: number, flags: number, dataBytes = 8): Promise<bigint | undefined> {
  const buffer = Buffer.alloc(HEAD_BYTES + 8);
  buffer.writeUInt32LE(HEAD_BYTES + dataBytes, 0);
  buffer.writeUInt32LE(flags, 4);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  library().calls.ioctl.async(
    fd,
    VFIO_DEVICE_FEATURE,
    buffer,
    (error: Error | null, result: number) => (error === null ? resolve(result) : reject(error)),
  );
  const result = await countedCall(promise);
  return result === 0 ? buffer.readBigUInt64LE(HEAD_BYTES) : undefined;
}
