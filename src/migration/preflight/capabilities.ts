import { godwitError } from '../../errors.ts';
import type {
  Check,
  Compression,
  MigrationSettings,
  Mode,
} from '../../protocol/public/migration.ts';

/** What a driver declares that it can. The core asks for these, and never for a driver's name. */
export interface Capabilities {
  /** direct: Godwit owns each step and the data path; managed: a manager moves the memory for us. */
  readonly shape: 'direct' | 'managed';
  readonly modes: readonly Mode[];
  readonly compression: readonly Compression[];
  readonly maxStreams: number;
  /** A broken post-copy stream can be taken up again. */
  readonly postcopyRecovery: boolean;
}

type Asked = Pick<MigrationSettings, 'mode' | 'streams' | 'compress' | 'path'>;

/** Whether the driver of a guest can do what is asked of it. One check for each thing that it cannot; else one that passes. */
export function capabilityChecks(
  { driver, capabilities }: { readonly driver: string; readonly capabilities: Capabilities },
  { mode, streams, compress, path = 'native' }: Asked,
): Check[] {
  const { shape, modes, compression, maxStreams } = capabilities;
  const lacks: [string, string][] = [];
  if (!modes.includes(mode)) lacks.push([`--mode ${mode}`, `it has ${modes.join(', ')}`]);
  if (!compression.includes(compress)) {
    lacks.push([`--compress ${compress}`, `it has ${compression.join(', ')}`]);
  }
  if (streams > maxStreams) lacks.push([`--streams ${streams}`, `it has ${maxStreams} at most`]);
  if (path === 'wire' && shape === 'managed') {
    lacks.push(['--path wire', 'its manager moves the memory itself']);
  }
  if (lacks.length === 0) {
    return [{ name: 'capabilities', side: 'source', verdict: 'pass', evidence: driver }];
  }
  return lacks.map(([what, has]): Check => {
    const reason = `the driver ${driver} cannot: ${has}`;
    const error = godwitError('GODWIT_CAPABILITY', { what, reason });
    const { message: evidence } = error;
    return {
      name: 'capabilities',
      side: 'source',
      verdict: 'refuse',
      evidence,
      error: error.toJSON(),
    };
  });
}
