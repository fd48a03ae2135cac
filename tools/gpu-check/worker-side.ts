import { createHash, randomFillSync } from 'node:crypto';
import { createInterface } from 'node:readline';
import { DriverLibrary } from '../../src/gpu/driver-library.ts';

/** The process whose GPU memory is taken away and given back: fills it, and says on request what is in it. */

const CHUNK = 16 * 1024 ** 2;
/**
 * Of one write. The driver takes about a thousand of them before it lets this process go on: those that are left then must
 * keep the GPU at work for longer than a lock waits. 256 MiB took 70 ms on an H200.
 */
const MAX_BUSY_BYTES = 8 * 1024 ** 3;

export function serveWorker(file: string, bytes: number): void {
  const cuda = DriverLibrary.open(file);
  cuda.use(0);
  const at = cuda.allocate(bytes);
  const part = Buffer.alloc(CHUNK);
  const chunks = Math.ceil(bytes / CHUNK);
  const each = (work: (place: bigint, piece: Buffer) => void): void => {
    for (let index = 0; index < chunks; index += 1) {
      const length = Math.min(CHUNK, bytes - index * CHUNK);
      work(at + BigInt(index * CHUNK), part.subarray(0, length));
    }
  };
  const filled = createHash('sha256');
  randomFillSync(part);
  each((place, piece) => {
    // Each chunk is another: one that came back in the place of another would be found.
    piece.writeBigUInt64LE(place, 0);
    filled.update(piece);
    cuda.write(place, piece);
  });
  const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
  say({ hash: filled.digest('hex') });
  createInterface({ input: process.stdin }).on('line', (line) => {
    if (line === 'hash') {
      const found = createHash('sha256');
      each((place, piece) => {
        cuda.read(place, piece);
        found.update(piece);
      });
      say({ hash: found.digest('hex') });
    }
    if (/^busy \d+$/.test(line)) {
      const busyBytes = Math.min(MAX_BUSY_BYTES, Math.floor(cuda.freeBytes() / 2));
      const scratch = cuda.allocate(busyBytes);
      cuda.busy(scratch, busyBytes, Number(line.slice(5)));
      say({ hash: 'busy' });
      cuda.settle();
      say({ hash: 'settled' });
    }
  });
}
