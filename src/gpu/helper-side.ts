import { createInterface } from 'node:readline';
import { jsonOf } from '../formats/json.ts';
import { CudaError, DriverLibrary, NoGpu } from './driver-library.ts';
import { request, type HelperRequest } from './helper-protocol.ts';

/**
 * The helper process that calls the driver, shared because initializing the driver takes seconds, and locks outlive the
 * process that took them. Ends with its standard input.
 */
export function serveHelper(file: string): void {
  let library: DriverLibrary | undefined;
  let usesGpu = false;
  const opened = (): DriverLibrary => (library ??= DriverLibrary.open(file));
  const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
  createInterface({ input: process.stdin }).on('line', (line) => {
    const asked = request.safeParse(jsonOf(line));
    if (!asked.success) {
      say({ id: 0, ok: false, call: 'helper', result: 'a request in no form that it knows' });
      return;
    }
    const { id } = asked.data;
    try {
      const cuda = opened();
      if (asked.data.do === 'free' && !usesGpu) {
        cuda.use(0);
        usesGpu = true;
      }
      say({ id, ok: true, value: carryOut(cuda, asked.data) });
    } catch (error) {
      say({ id, ok: false, ...wordsOf(error) });
    }
  });
}

function carryOut(cuda: DriverLibrary, asked: HelperRequest): unknown {
  switch (asked.do) {
    case 'gpus':
      return { version: cuda.version(), gpus: cuda.gpus() };
    case 'free':
      return cuda.freeBytes();
    case 'state':
      return cuda.state(asked.pid);
    case 'lock':
      return cuda.lock(asked.pid, asked.timeoutMs);
    case 'checkpoint':
      return cuda.checkpoint(asked.pid);
    case 'restore':
      return cuda.restore(asked.pid, asked.pairs);
    case 'unlock':
      return cuda.unlock(asked.pid);
  }
}

function wordsOf(error: unknown): object {
  if (error instanceof CudaError) return { call: error.call, result: error.result };
  const result = (error instanceof Error ? error.message : String(error)).slice(0, 256);
  return { call: 'helper', result, noGpu: error instanceof NoGpu };
}
