import { createHash, randomFillSync } from 'node:crypto';
import { createInterface } from 'node:readline';
import { DriverLibrary } from '../../src/gpu/driver-library.ts';

/** The process whose GPU memory is taken away and given back: fills it, and says on request what is in it. */

const CHUNK = 16 * 1024 ** 2;
const BUSY_BYTES = 256 * 1024 ** 2;

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
  let scratch: bigint | undefined;
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
      scratch ??= cuda.allocate(BUSY_BYTES);
      cuda.busy(scratch, BUSY_BYTES, Number(line.slice(5)));
      say({ hash: 'busy' });
      cuda.settle();
      say({ hash: 'settled' });
    }
  });
}
