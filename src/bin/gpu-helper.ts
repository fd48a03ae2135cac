import { serveHelper } from '../gpu/helper-side.ts';

/** Calls the GPU driver's library (its file is the argument) for the process that started it; it ends with its input. */
serveHelper(process.argv[2] ?? 'libcuda.so.1');
