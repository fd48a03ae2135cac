import { defined } from '../protocol/defined.ts';

const MIB = 1024 ** 2;
const MAX_LINES = 4096;

/** `parseGpus` depends on the order. */
export const GPU_FIELDS = [
  'uuid',
  'name',
  'memory.total',
  'memory.used',
  'mig.mode.current',
  'driver_version',
] as const;
export const APP_FIELDS = ['pid', 'gpu_uuid', 'used_memory'] as const;

export interface GpuFacts {
  /** Thirty-two hexadecimal digits, as in the driver's library. */
  readonly uuid: string;
  readonly name: string;
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly mig: boolean;
  readonly driver: string;
}

export interface GpuApp {
  readonly pid: number;
  readonly uuid: string;
  /** Absent if the driver does not report it. */
  readonly bytes?: number;
}

/** Output of `--query-gpu=FIELDS --format=csv,noheader,nounits`; unknown lines are skipped. */
export function parseGpus(text: string): GpuFacts[] {
  return linesOf(text).flatMap((words): GpuFacts[] => {
    const [uuid = '', name = '', total = '', used = '', mig = '', driver = ''] = words;
    const digits = uuidOf(uuid);
    const [totalBytes, usedBytes] = [mibOf(total), mibOf(used)];
    if (digits === undefined || totalBytes === undefined || !/^\d[\d.]{0,31}$/.test(driver))
      return [];
    const facts = { uuid: digits, name: name.slice(0, 128), totalBytes, driver };
    return [{ ...facts, usedBytes: usedBytes ?? 0, mig: mig === 'Enabled' }];
  });
}

/** Output of `--query-compute-apps=FIELDS --format=csv,noheader,nounits`. */
export function parseApps(text: string): GpuApp[] {
  return linesOf(text).flatMap((words): GpuApp[] => {
    const [pid = '', uuid = '', used = ''] = words;
    const digits = uuidOf(uuid);
    if (digits === undefined || !/^[1-9]\d{0,9}$/.test(pid)) return [];
    const bytes = mibOf(used);
    return [{ pid: Number(pid), uuid: digits, ...defined({ bytes }) }];
  });
}

function linesOf(text: string): string[][] {
  return text
    .split('\n', MAX_LINES)
    .filter((line) => line.trim() !== '')
    .map((line) => line.split(',').map((word) => word.trim()));
}

function uuidOf(text: string): string | undefined {
  const digits = /^GPU-([0-9a-f-]{36})$/i.exec(text)?.[1]?.replaceAll('-', '').toLowerCase();
  return digits?.length === 32 ? digits : undefined;
}

function mibOf(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) * MIB : undefined;
}
