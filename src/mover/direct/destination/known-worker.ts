import { parentPort, workerData } from 'node:worker_threads';
import { answerKnown } from './known.ts';
import type { KnownData } from './known-thread.ts';

const { config, admission, question } = workerData as KnownData;
parentPort?.postMessage(await answerKnown(config, admission, question));
